//! One definition, checked: its name against the project's naming, its SQL against the
//! server's grammar.

use belay_core::checksum::Checksum;
use belay_core::contract::Waiver;
use belay_core::directive::{DirectiveError, Directives};
use belay_core::layout::{Definition, LayoutError, TextError};
use belay_core::name::NameError;
use belay_core::naming::Naming;
use belay_core::sql::{LexError, blank_restrict_lines};

use crate::error::{Code, Failure, Result};
use crate::ledger::project::Project;
use crate::ledger::registry::{Attributes, NewMigration, release_of};
use crate::pg::{error, parse, portal};

/// A set or text that cannot be read, with file and line in the message.
pub fn layout_failure(failure: &LayoutError) -> Failure {
    Failure::new(layout_code(failure), failure.to_string(), failure.hint())
}

/// The SQLSTATE of a set or text that cannot be read.
pub fn layout_code(failure: &LayoutError) -> Code {
    match failure {
        LayoutError::Name { .. } => Code::Name,
        LayoutError::Text {
            source: TextError::Directive { source, .. },
            ..
        } if matches!(**source, DirectiveError::Sql(LexError::MetaCommand { .. })) => {
            Code::Statement
        }
        _ => Code::File,
    }
}

/// A name that is none, or not one of the project's.
pub fn name_failure(failure: &NameError) -> Failure {
    Failure::new(Code::Name, failure.to_string(), failure.hint())
}

/// The key of a name in a project's order; refuses names of another naming.
pub fn sort_key(project: &Project, naming: Naming, name: &str) -> Result<Vec<u8>> {
    belay_core::name::check_name(name).map_err(|e| name_failure(&e))?;
    if !(project.naming_declared && naming == Naming::Natural) {
        naming.check(name).map_err(|e| name_failure(&e))?;
    }
    naming.sort_key(name).map_err(|e| name_failure(&e))
}

/// Refuses a new name that breaks a rule of release names beside those of their order. What is
/// registered keeps its name.
pub fn refuse_unsound_name(naming: Naming, name: &str) -> Result<()> {
    match naming {
        Naming::Release => naming.check_new(name).map_err(|e| name_failure(&e)),
        Naming::Natural | Naming::Diesel => Ok(()),
    }
}

/// The checksum of a definition's two texts.
pub fn checksum(definition: &Definition) -> Result<String> {
    Checksum::of(&definition.up, definition.down.as_deref())
        .map(|sum| sum.to_string())
        .map_err(|e| {
            let file = definition
                .up_path
                .as_deref()
                .unwrap_or("the registered text");
            Failure::new(Code::File, format!("{file}: {e}"), e.hint())
        })
}

/// The definition's row, with its SQL parsed by the server.
pub fn checked(
    project: &Project,
    naming: Naming,
    definition: &Definition,
    checksum: String,
) -> Result<NewMigration> {
    let sort_key = sort_key(project, naming, &definition.name)?;
    let up_line = line(definition.up_first_line);
    let down_line = line(definition.down_first_line);
    let up = Origin {
        definition,
        file: definition.up_path.as_deref(),
        line: up_line,
        direction: "up",
    };
    let down = Origin {
        definition,
        file: definition.down_path.as_deref(),
        line: down_line,
        direction: "down",
    };
    let said = &definition.directives;
    let up = up.looked_at(&definition.up, said.transaction, said.privileged)?;
    let (down_sql, down) = match (&definition.down, &up.undo) {
        (Some(text), _) => {
            let looked = down.looked_at(
                text,
                definition.down_transaction,
                definition.down_privileged,
            )?;
            (Some(text.clone()), looked)
        }
        (None, undo) => {
            let looked = Looked {
                transaction: undo.is_none(),
                privileged: false,
                undo: None,
            };
            (undo.clone(), looked)
        }
    };
    Ok(NewMigration {
        name: definition.name.clone(),
        sort_key,
        release: match naming {
            Naming::Release => release_of(&definition.name),
            _ => None,
        },
        checksum,
        up: definition.up.clone(),
        down: down_sql,
        up_origin: (definition.up_path.clone(), up_line),
        down_origin: (definition.down_path.clone(), down_line),
        attributes: attributes(definition, &up, &down),
    })
}

fn attributes(definition: &Definition, up: &Looked, down: &Looked) -> Attributes {
    let Directives {
        requires,
        pairs_with,
        lock_timeout_ms,
        lock_retries,
        privileged,
        waivers,
        ..
    } = definition.directives.clone();
    let integer = |number: Option<u32>| number.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    Attributes {
        up_transaction: up.transaction,
        down_transaction: down.transaction,
        requires,
        indivisible: pairs_with.as_ref().is_some_and(|pair| pair.indivisible),
        pairs_with: pairs_with.map(|pair| pair.name),
        up_lock_timeout: integer(lock_timeout_ms),
        down_lock_timeout: integer(definition.down_lock_timeout_ms),
        up_lock_retries: integer(lock_retries),
        down_lock_retries: integer(definition.down_lock_retries),
        up_privileged: Some(up.privileged),
        down_privileged: Some(down.privileged),
        waivers: waivers.iter().map(Waiver::to_text).collect(),
        privileged_said: privileged.is_some() || definition.down_privileged.is_some(),
    }
}

fn line(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What was found in a text, or said at its head.
struct Looked {
    /// Whether it runs in a transaction.
    transaction: bool,
    /// Whether it takes rights that a deploying role may lack.
    privileged: bool,
    /// What takes it back, where that follows from the text: it calls nothing but Belay's verbs.
    undo: Option<String>,
}

/// Where a text came from.
struct Origin<'a> {
    definition: &'a Definition,
    file: Option<&'a str>,
    line: i32,
    direction: &'static str,
}

impl Origin<'_> {
    /// Parses the text: whether it runs in a transaction, and is privileged, as directed or as
    /// its statements need.
    fn looked_at(
        &self,
        text: &str,
        transaction: Option<bool>,
        privileged: Option<bool>,
    ) -> Result<Looked> {
        let sql = blank_restrict_lines(text);
        let (alone, found, undo) = error::catch(|| {
            let _memory = portal::Memory::enter();
            let script = parse::parse(&sql)?;
            if script.statements.is_empty() {
                return Err(self.empty());
            }
            Ok((
                script.needs_no_transaction(),
                script.is_privileged(),
                script.undo(),
            ))
        })
        .map_err(|failure| self.placed(failure, &sql))?;
        if transaction == Some(true) && alone {
            return Err(self.contradicted());
        }
        Ok(Looked {
            transaction: transaction.unwrap_or(!alone),
            privileged: privileged.unwrap_or(found),
            undo,
        })
    }

    fn empty(&self) -> Failure {
        Failure::new(
            Code::File,
            format!("the {} holds no statement", self.direction),
            "write at least one statement; SELECT 1 does nothing",
        )
    }

    fn contradicted(&self) -> Failure {
        Failure::new(
            Code::Statement,
            format!(
                "migration \"{}\", {}: \"-- belay: transaction on\" and a statement that cannot run in a transaction",
                self.definition.name, self.direction
            ),
            "take the directive out, or put the statement into a migration of its own",
        )
    }

    fn placed(&self, mut failure: Failure, sql: &str) -> Failure {
        let mut place = format!("migration \"{}\", {}", self.definition.name, self.direction);
        let mut line = failure.line();
        if let Failure::Server(error) = &mut failure {
            let position = std::mem::take(&mut error.cursor_position);
            if position > 0 && error.internal_query.is_none() {
                let characters = usize::try_from(position - 1).unwrap_or(0);
                let before = sql.chars().take(characters).filter(|c| *c == '\n').count();
                line = i32::try_from(before + 1).ok();
            }
            crate::engine::place::quote_position(error, position, sql);
        }
        if let Some(line) = line {
            place.push_str(&format!(", line {}", line.saturating_add(self.line - 1)));
        }
        if let Some(file) = self.file {
            place.push_str(&format!(" of {file}"));
        }
        failure.add_context(&place);
        if matches!(failure, Failure::Server(_)) {
            failure.add_hint("correct the SQL and register it again; nothing was registered");
        }
        failure
    }
}
