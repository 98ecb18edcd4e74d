//! Requests, in short.

use crate::plan::Request;

pub fn up() -> Request {
    Request::Up {
        target: None,
        steps: None,
        phase: None,
        release: None,
    }
}

pub fn up_steps(steps: u32) -> Request {
    Request::Up {
        target: None,
        steps: Some(steps),
        phase: None,
        release: None,
    }
}

pub fn up_to(target: &str) -> Request {
    Request::Up {
        target: Some(target.to_owned()),
        steps: None,
        phase: None,
        release: None,
    }
}

pub fn down(steps: u32) -> Request {
    Request::Down { steps }
}

pub fn redo(steps: u32) -> Request {
    Request::Redo { steps }
}

pub fn to(target: &str) -> Request {
    Request::To {
        target: target.parse().unwrap(),
    }
}
