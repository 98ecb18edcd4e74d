//! What belongs to the source is made for the copy, and looked at before the copy takes over.

use super::super::carry::{self, Carried};
use super::super::run_sql;
use super::super::texts::{Texts, qualified};
use super::Work;
use crate::error::{Code, Failure, Result};
use crate::online::index::{self, Wanted};
use crate::pg::transaction;

impl Work<'_> {
    /// Makes what the copy lacks of what belongs to the source, one after the other.
    pub(super) fn carry_over(&self, texts: &Texts) -> Result<()> {
        for one in self.briefly(|| carry::collect(texts))? {
            if one.is_index && !one.is_made {
                let schema = &self.found.table.schema_name;
                index::ensure(
                    self.session,
                    &Wanted {
                        table: self.found.table.id,
                        schema,
                        name: &one.made_as,
                        sql: &one.make,
                    },
                )?;
                continue;
            }
            if !one.is_made {
                self.briefly(|| run_sql(std::slice::from_ref(&one.make)))?;
            }
            if let Some(validate) = one.validate.as_ref().filter(|_| !one.is_valid) {
                self.briefly(|| run_sql(std::slice::from_ref(validate)))?;
            }
        }
        Ok(())
    }

    pub(super) fn verify(&self, texts: &Texts) -> Result<()> {
        let out_of_step = transaction::committed(self.session.mode, || {
            qualified(|| texts.count_out_of_step())
        })?;
        if out_of_step == 0 {
            return Ok(());
        }
        Err(Failure::new(
            Code::Data,
            format!(
                "columns \"{}\" and \"{}\" of table {} differ in {out_of_step} rows",
                texts.source, texts.copy, self.found.table.quoted
            ),
            "an expression may not give the same twice, or a trigger changes rows after the one that keeps them in step; \
             mend it, then call the same again",
        ))
    }

    /// What belongs to the source in this moment, all of it made for the copy.
    pub(super) fn all_made(&self, texts: &Texts) -> Result<Vec<Carried>> {
        let carried = carry::collect(texts)?;
        let lacking: Vec<&str> = carried
            .iter()
            .filter(|one| !one.is_made || !one.is_valid)
            .map(|one| one.name.as_str())
            .collect();
        if lacking.is_empty() {
            return Ok(carried);
        }
        Err(Failure::new(
            Code::NotInState,
            format!(
                "column \"{}\" of table {} has got something that its copy lacks",
                texts.source, self.found.table.quoted
            ),
            format!(
                "{} makes it for the copy as well; then call this again",
                self.asked.call(self.asked.family.begin, self.found)
            ),
        )
        .detail(lacking.join("\n")))
    }
}
