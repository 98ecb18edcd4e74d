//! The decisions of Belay that need no server.
