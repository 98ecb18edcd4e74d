//! From the texts of one migration to its definition.

use super::definition::Definition;
use super::error::{LayoutError, SectionError, TextError};
use super::sections::{CutError, Sections};
use crate::directive::{DirectiveError, Head, TRANSACTION, read_head};
use crate::name::check_name;
use crate::plan::Direction;
use crate::sql::blank_restrict_lines;

/// A text and the file that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) text: String,
    pub(super) path: Option<String>,
}

impl Source {
    fn error(&self, name: &str, part: Direction, source: TextError) -> LayoutError {
        LayoutError::Text {
            name: name.to_owned(),
            part,
            path: self.path.clone(),
            source,
        }
    }
}

/// Defines a migration from its up (which may have a down section), its down and what `metadata.toml` says.
pub(super) fn define(
    name: &str,
    up: &Source,
    down: Option<&Source>,
    metadata: Option<bool>,
) -> Result<Definition, LayoutError> {
    check_name(name).map_err(|source| LayoutError::Name {
        path: up.path.clone(),
        source,
    })?;
    let text = blank_restrict_lines(&up.text);
    let in_up = |error| up.error(name, Direction::Up, error);
    let sections = Sections::find(&text).map_err(|error| in_up(error.into()))?;
    let up_end = sections.down.map_or(text.len(), |marker| marker.start);
    let head =
        read_section(&text[..up_end], 1, sections.up.and_then(|m| m.transaction)).map_err(in_up)?;
    if !head.has_tokens {
        return Err(in_up(TextError::EmptyUp));
    }
    let mut definition = Definition {
        name: name.to_owned(),
        up: text[..up_end].to_owned(),
        down: None,
        up_path: up.path.clone(),
        down_path: None,
        up_first_line: 1,
        down_first_line: 1,
        directives: head.directives,
        down_transaction: None,
        down_lock_timeout_ms: None,
        down_lock_retries: None,
        down_privileged: None,
    };
    check_own_name(&definition).map_err(in_up)?;
    definition.directives.transaction = definition.directives.transaction.or(metadata);
    if let Some(down) = down {
        if let Some(marker) = sections.down {
            let two = SectionError::TwoDowns { line: marker.line };
            return Err(in_up(two.into()));
        }
        let text = blank_restrict_lines(&down.text);
        add_down_text(&mut definition, &text, &down.path, metadata)
            .map_err(|error| down.error(name, Direction::Down, error))?;
    } else if sections.down.is_some() {
        add_down_section(&mut definition, &text, sections, metadata).map_err(in_up)?;
    }
    Ok(definition)
}

/// The down is a text of its own.
fn add_down_text(
    definition: &mut Definition,
    text: &str,
    path: &Option<String>,
    metadata: Option<bool>,
) -> Result<(), TextError> {
    Sections::find(text)?.refuse_in_down()?;
    let head = read_section(text, 1, None)?;
    head.check_down().map_err(|error| at_line(error, 1))?;
    if head.has_tokens {
        definition.down = Some(text.to_owned());
        definition.down_path.clone_from(path);
        definition.down_transaction = head.directives.transaction.or(metadata);
        definition.down_lock_timeout_ms = head.directives.lock_timeout_ms;
        definition.down_lock_retries = head.directives.lock_retries;
        definition.down_privileged = head.directives.privileged;
    }
    Ok(())
}

/// The down is a section of the up's text. What stands before the first section holds for both.
fn add_down_section(
    definition: &mut Definition,
    text: &str,
    sections: Sections,
    metadata: Option<bool>,
) -> Result<(), TextError> {
    let Some(marker) = sections.down else {
        return Ok(());
    };
    let down = &text[marker.start..];
    let head = read_section(down, marker.line, marker.transaction)?;
    head.check_down()
        .map_err(|error| at_line(error, marker.line))?;
    if !head.has_tokens {
        return Ok(());
    }
    let shared_end = sections.up.map_or(marker.start, |up| up.start);
    let shared = read_head(&text[..shared_end])
        .map_err(|error| at_line(error, 1))?
        .directives;
    definition.down = Some(down.to_owned());
    definition.down_path.clone_from(&definition.up_path);
    definition.down_first_line = marker.line;
    definition.down_transaction = head
        .directives
        .transaction
        .or(shared.transaction)
        .or(metadata);
    definition.down_lock_timeout_ms = head.directives.lock_timeout_ms.or(shared.lock_timeout_ms);
    definition.down_lock_retries = head.directives.lock_retries.or(shared.lock_retries);
    definition.down_privileged = head.directives.privileged.or(shared.privileged);
    Ok(())
}

/// Reads the head of a section, which begins on a line of its file, and adds what its marker says.
fn read_section(text: &str, first_line: u32, marker: Option<bool>) -> Result<Head, TextError> {
    let mut head = read_head(text).map_err(|error| at_line(error, first_line))?;
    if let Some(transaction) = marker {
        if head.directives.transaction == Some(!transaction) {
            let error = DirectiveError::Contradiction {
                word: TRANSACTION.to_owned(),
                marker: format!("transaction:{transaction}"),
                line: head.line(TRANSACTION).unwrap_or(1),
            };
            return Err(at_line(error, first_line));
        }
        head.directives.transaction = Some(transaction);
    }
    Ok(head)
}

fn check_own_name(definition: &Definition) -> Result<(), TextError> {
    let own = &definition.name;
    let pair = definition.directives.pairs_with.as_ref();
    let word = if definition.directives.requires.contains(own) {
        "requires"
    } else if pair.is_some_and(|pair| pair.name == *own) {
        "pairs-with"
    } else {
        return Ok(());
    };
    Err(TextError::NamesItself {
        name: own.clone(),
        word,
    })
}

fn at_line(source: DirectiveError, first_line: u32) -> TextError {
    TextError::Directive {
        line: first_line.saturating_add(source.line()).saturating_sub(1),
        source: Box::new(source),
    }
}

impl From<SectionError> for TextError {
    fn from(source: SectionError) -> Self {
        TextError::Section {
            line: source.line(),
            source,
        }
    }
}

impl From<CutError> for TextError {
    fn from(error: CutError) -> Self {
        match error {
            CutError::Section(source) => source.into(),
            CutError::Sql(source) => at_line(source.into(), 1),
        }
    }
}
