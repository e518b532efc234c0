//! Names of the library in a text: heard while it is parsed, and made one name each.
//!
//! Rhai resolves functions of modules through a cache that does not know which module asks, so two helpers of one
//! name would be mixed up. So `lib::texts::clean` becomes the one name `lib__texts__clean`, of the same length,
//! before the text is compiled, and modules stay closed. Invariant: what stands in texts and comments is not
//! touched, and every place can be told in the author's own text.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rhai::{LexError, Position, Token};

use crate::script::error::{ScriptError, ScriptErrorKind};

/// The word before every name of the library.
pub(in crate::script) const ROOT: &str = "lib";

/// How one name begins that was made of several; no author's name does, as it is refused.
pub(in crate::script) const LINKED: &str = "lib__";

/// Rhai's word for the constants of the text itself.
const GLOBAL: &str = "global";

/// A word or sign that matters here, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sound {
    Name(String),
    Colons,
    Parenthesis,
    Function,
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub sound: Sound,
    pub line: usize,
    pub column: usize,
}

enum Ear {
    /// An author's text without names of the library.
    Closed,
    /// An author's text whose words are kept.
    Open(Vec<Heard>),
    /// A text that was made here.
    Trusting,
}

thread_local! {
    static EAR: RefCell<Ear> = const { RefCell::new(Ear::Closed) };
}

/// Closes the ear again, also after a panic.
struct Closing;

impl Drop for Closing {
    fn drop(&mut self) {
        EAR.with(|ear| *ear.borrow_mut() = Ear::Closed);
    }
}

/// Called for each token: keeps it if somebody listens, and refuses names that only we may write.
pub(in crate::script) fn hear(token: Token, at: Position) -> Token {
    EAR.with(|ear| {
        let mut ear = ear.borrow_mut();
        if let Token::Identifier(name) = &token
            && name.starts_with(LINKED)
            && !matches!(*ear, Ear::Trusting)
        {
            let text = format!("names that begin with `{LINKED}` are kept for the library");
            return Token::LexError(Box::new(LexError::Runtime(text)));
        }
        if let Ear::Open(heard) = &mut *ear {
            let sound = match &token {
                Token::Identifier(name) => Sound::Name(name.to_string()),
                Token::DoubleColon => Sound::Colons,
                // `()` is one sign.
                Token::LeftParen | Token::Unit => Sound::Parenthesis,
                Token::Fn => Sound::Function,
                _ => Sound::Other,
            };
            heard.push(Heard {
                sound,
                line: at.line().unwrap_or(0),
                column: at.position().unwrap_or(0),
            });
        }
        token
    })
}

/// Parses an author's text and keeps its words.
pub(in crate::script) fn listening<T>(parse: impl FnOnce() -> T) -> (T, Words) {
    EAR.with(|ear| *ear.borrow_mut() = Ear::Open(Vec::new()));
    let closing = Closing;
    let parsed = parse();
    let heard = EAR.with(|ear| std::mem::replace(&mut *ear.borrow_mut(), Ear::Closed));
    drop(closing);
    match heard {
        Ear::Open(heard) => (parsed, Words(heard)),
        Ear::Closed | Ear::Trusting => (parsed, Words(Vec::new())),
    }
}

/// Parses a text that was made here.
pub(in crate::script) fn trusting<T>(parse: impl FnOnce() -> T) -> T {
    EAR.with(|ear| *ear.borrow_mut() = Ear::Trusting);
    let _closing = Closing;
    parse()
}

/// The words of a text in their order.
pub(in crate::script) struct Words(pub(super) Vec<Heard>);

/// A text in which every name of the library is one name.
pub(in crate::script) struct Linked {
    /// The text to compile.
    pub text: String,
    /// Names that are no calls: constants of the library.
    pub constants: BTreeSet<String>,
    shifts: Shifts,
}

/// What was put into the lines of a text: the column there and how much.
#[derive(Default)]
struct Shifts(BTreeMap<usize, Vec<(usize, usize)>>);

/// One name instead of others: the first word, the last one and the name.
struct Edit {
    line: usize,
    column: usize,
    length: usize,
    /// The first of the words, which must stand there.
    first: String,
    name: String,
}

/// The one name of something in a module.
pub(in crate::script) fn linked_name(module: &str, name: &str) -> String {
    format!("{LINKED}{module}__{name}")
}

/// The module and the name of something that was made one name.
pub(in crate::script) fn split_name(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(LINKED)?.split_once("__")
}

/// The module that a source of Rhai names.
pub(in crate::script) fn module_of(source: &str) -> Option<&str> {
    source.strip_prefix(ROOT)?.strip_prefix("::")
}

/// A message with the names as the author writes them.
pub(in crate::script) fn unlinked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find(LINKED) {
        out.push_str(&rest[..found]);
        rest = &rest[found + LINKED.len()..];
        out.push_str("lib::");
        if let Some(end) = rest.find("__") {
            out.push_str(&rest[..end]);
            out.push_str("::");
            rest = &rest[end + 2..];
        }
    }
    out.push_str(rest);
    out
}

impl Words {
    /// The names of own functions that are defined, with the line of each.
    pub(super) fn defined(&self) -> Vec<(String, usize)> {
        let pairs = self.0.windows(2).filter_map(|pair| match pair {
            [
                Heard {
                    sound: Sound::Function,
                    line,
                    ..
                },
                Heard {
                    sound: Sound::Name(name),
                    ..
                },
            ] => Some((name.clone(), *line)),
            _ => None,
        });
        pairs.collect()
    }

    /// The text with one name for each name of the library; `own` is the module it is and its functions.
    pub(in crate::script) fn linked(
        &self,
        source: &str,
        own: Option<(&str, &BTreeSet<String>)>,
    ) -> Result<Linked, ScriptError> {
        let mut edits = Vec::new();
        let mut constants = BTreeSet::new();
        let mut at = 0;
        while at < self.0.len() {
            let rest = &self.0[at..];
            at += match self.edit(rest, own, &mut constants)? {
                Some((edit, taken)) => {
                    edits.push(edit);
                    taken
                }
                None => 1,
            };
        }
        let (text, shifts) = replaced(source, &edits)?;
        Ok(Linked {
            text,
            constants,
            shifts,
        })
    }

    fn edit(
        &self,
        rest: &[Heard],
        own: Option<(&str, &BTreeSet<String>)>,
        constants: &mut BTreeSet<String>,
    ) -> Result<Option<(Edit, usize)>, ScriptError> {
        let Some(first) = rest.first() else {
            return Ok(None);
        };
        let name = match &first.sound {
            Sound::Name(name) => name,
            Sound::Colons => return Err(closed(first)),
            _ => return Ok(None),
        };
        let is_call = |at: usize| {
            rest.get(at)
                .is_some_and(|one| one.sound == Sound::Parenthesis)
        };
        match (chain(rest).as_slice(), own) {
            ([], Some((module, functions))) if functions.contains(name) && is_call(1) => {
                Ok(Some((
                    first.edit(name.chars().count(), linked_name(module, name)),
                    1,
                )))
            }
            ([], _) => Ok(None),
            ([constant], Some((module, _))) if name == GLOBAL => {
                let linked = linked_name(module, constant);
                constants.insert(linked.clone());
                Ok(Some((first.edit(adjacent(rest, 3)?, linked), 3)))
            }
            ([module, inner], _) if name == ROOT => {
                let linked = linked_name(module, inner);
                if split_name(&linked) != Some((*module, *inner)) {
                    return Err(closed(first));
                }
                if !is_call(5) {
                    constants.insert(linked.clone());
                }
                Ok(Some((first.edit(adjacent(rest, 5)?, linked), 5)))
            }
            _ => Err(closed(first)),
        }
    }
}

/// The names behind the first one that colons join to it.
fn chain(rest: &[Heard]) -> Vec<&str> {
    let pairs = rest.get(1..).unwrap_or_default().chunks(2);
    pairs
        .map_while(|pair| match pair {
            [
                Heard {
                    sound: Sound::Colons,
                    ..
                },
                Heard {
                    sound: Sound::Name(name),
                    ..
                },
            ] => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

/// Characters of a name of several words, which must touch.
fn adjacent(rest: &[Heard], words: usize) -> Result<usize, ScriptError> {
    let Some(first) = rest.first() else {
        return Ok(0);
    };
    let mut column = first.column;
    for word in rest.iter().take(words) {
        if word.line != first.line || word.column != column {
            let message =
                "a name of the library is written without spaces: `lib::module::function`";
            return Err(ScriptError::new(ScriptErrorKind::Parse, message).at(first.place()));
        }
        column += match &word.sound {
            Sound::Name(name) => name.chars().count(),
            _ => 2,
        };
    }
    Ok(column - first.column)
}

impl Heard {
    fn place(&self) -> Position {
        let number = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        match self.line {
            0 => Position::NONE,
            _ => Position::new(number(self.line), number(self.column)),
        }
    }

    fn edit(&self, length: usize, name: String) -> Edit {
        Edit {
            line: self.line,
            column: self.column,
            length,
            first: match &self.sound {
                Sound::Name(first) => first.clone(),
                _ => String::new(),
            },
            name,
        }
    }
}

fn closed(at: &Heard) -> ScriptError {
    ScriptError::new(
        ScriptErrorKind::Parse,
        "modules are not available in scripts, except those of the library: `lib::module::function(…)`",
    )
    .at(at.place())
}

fn replaced(source: &str, edits: &[Edit]) -> Result<(String, Shifts), ScriptError> {
    let mut out = String::with_capacity(source.len() * 2);
    let mut shifts = Shifts::default();
    let mut edits = edits.iter().peekable();
    for (index, text) in source.split_inclusive('\n').enumerate() {
        let line = index + 1;
        let (mut column, mut grown) = (1, 0);
        let mut characters = text.chars();
        while let Some(edit) = edits.next_if(|edit| edit.line == line) {
            out.extend(characters.by_ref().take(edit.column.saturating_sub(column)));
            let taken: String = characters.by_ref().take(edit.length).collect();
            if taken.chars().count() != edit.length || !taken.starts_with(&edit.first) {
                return Err(ScriptError::new(
                    ScriptErrorKind::Parse,
                    "a name of the library could not be read",
                ));
            }
            out.push_str(&edit.name);
            let more = edit.name.chars().count().saturating_sub(edit.length);
            if more > 0 {
                let places = shifts.0.entry(line).or_default();
                places.push((edit.column + grown, more));
                grown += more;
            }
            column = edit.column + edit.length;
        }
        out.extend(characters);
    }
    Ok((out, shifts))
}

impl Linked {
    /// A place of the made text as it is in the author's.
    pub fn place(&self, line: u32, column: u32) -> u32 {
        let places = self.shifts.0.get(&(line as usize));
        let moved: usize = places
            .into_iter()
            .flatten()
            .filter(|(from, _)| *from < column as usize)
            .map(|(_, more)| more)
            .sum();
        column
            .saturating_sub(u32::try_from(moved).unwrap_or(0))
            .max(1)
    }

    /// An error as one of the author's text.
    pub fn told(&self, mut error: ScriptError) -> ScriptError {
        error.message = unlinked(&error.message);
        error.suggestion = error.suggestion.as_deref().map(unlinked);
        if let (Some(line), Some(column)) = (error.line, error.column) {
            error.column = Some(self.place(line, column));
        }
        error
    }
}
