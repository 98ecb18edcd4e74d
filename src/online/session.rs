//! What every verb of online changes begins with: a session in which it may commit.

use pgrx::pg_sys::Oid;

use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::pg::error;
use crate::pg::lock;
use crate::pg::timeout::{self, WithoutTransactionTimeout};
use crate::pg::transaction::{self, Mode};

/// A call that commits on its way.
pub struct Session {
    /// The ledger.
    pub ledger: Ledger,
    /// How Belay was called; never inside the caller's transaction.
    pub mode: Mode,
    _no_transaction_timeout: WithoutTransactionTimeout,
}

impl Session {
    /// Begins a call of `belay.VERB`. Refuses a transaction block (25001), a standby and a read-only session (25006).
    ///
    /// The caller's statement_timeout does not end it.
    pub fn begin(verb: &str, mode: Mode) -> Result<Session> {
        let ledger = Ledger::open()?;
        transaction::refuse_read_only(mode)?;
        if mode == Mode::Caller {
            return Err(Failure::new(
                Code::ActiveTransaction,
                format!("belay.{verb} commits on its way, so it cannot run inside a transaction"),
                "CALL it outside a transaction block (autocommit) and not from a function",
            ));
        }
        timeout::disarm_statement_timeout();
        // From here on no snapshot of the CALL is left, which an abort would miss.
        transaction::commit()?;
        Ok(Session {
            ledger,
            mode,
            _no_transaction_timeout: WithoutTransactionTimeout::new(),
        })
    }

    /// Schema and name of a relation, quoted.
    pub fn table_name(&self, table: Oid) -> Result<String> {
        let found = transaction::committed(self.mode, || self.ledger.find_relation(table))?;
        found.map(|relation| relation.quoted).ok_or_else(|| {
            Failure::new(
                Code::UndefinedTable,
                format!("there is no table with oid {}", table.to_u32()),
                "name the table: 'public.orders'",
            )
        })
    }

    /// Runs `body` while no other session does the same: `what` is done by one at a time, told by an
    /// advisory lock of this class and key. Fails at once (55P03) where somebody is at it.
    pub fn alone_at<T>(
        &self,
        class: i32,
        key: u32,
        what: &str,
        body: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if !lock::try_hold(class, key) {
            return Err(self.busy(class, key, what)?);
        }
        let result = error::catch(body);
        if result.is_err() && self.mode == Mode::TopLevel {
            transaction::restart();
        }
        lock::release(class, key);
        result
    }

    fn busy(&self, class: i32, key: u32, what: &str) -> Result<Failure> {
        let holder = self.ledger.advisory_lock_holder(class, key)?;
        let look = holder.as_ref().map_or(String::new(), |(pid, _)| {
            format!("; SELECT pg_cancel_backend({pid}) stops it, and nothing is lost")
        });
        let failure = Failure::new(
            Code::LockNotAvailable,
            format!("another session is at it: {what}"),
            format!("call again when it has ended{look}"),
        );
        Ok(match holder {
            Some((_, described)) => failure.detail(described),
            None => failure,
        })
    }

    /// Refuses a call from PL/pgSQL (25001): for what the server only runs at top level.
    pub fn refuse_procedural(&self, verb: &str) -> Result<()> {
        match self.mode {
            Mode::Procedural => Err(Failure::new(
                Code::ActiveTransaction,
                format!(
                    "belay.{verb} cannot be called from PL/pgSQL: it builds indexes concurrently"
                ),
                format!("CALL belay.{verb} from the client, outside any block"),
            )),
            Mode::TopLevel | Mode::Caller => Ok(()),
        }
    }
}
