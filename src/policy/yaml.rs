//! YAML text → a tree in which every key and value knows its line and column.
//!
//! Values stay the text that was written: `version: 1` is the text `1`, and no
//! `no` turns into a boolean. What a person may overlook is refused: a key
//! written twice, anchors and aliases, tags, a second document.
//!
//! Hazard: the tree is built by recursion; the parser's nesting limits bound it.

use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, StrInput, options};

use super::error::{Position, Report};

/// No policy nests deeper than this; it keeps the recursion shallow.
const MAX_NESTING: usize = 8;

const SYNTAX_HINT: &str =
    "check the indentation and the brackets, and quote text that holds `: ` or ` #`";

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub at: Position,
    pub content: Content,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing, or an unquoted `null` or `~`.
    Empty,
    /// A single value, as written, less its quotes.
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value; `at` is where the key begins.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub at: Position,
    pub value: Node,
}

/// Why reading a file stopped.
struct Stop {
    at: Position,
    message: String,
    hint: String,
}

/// The keys of a file, or none if it could not be read (and the report says why).
pub(super) fn parse(text: &str, report: &Report<'_>) -> Option<Vec<Entry>> {
    let limits = options! {
        emit_comments: false,
        disallow_directives: true,
        flow_nesting_limit: MAX_NESTING,
        block_nesting_limit: MAX_NESTING,
    };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, limits),
        report,
    };
    match reader.document() {
        Ok(entries) => Some(entries),
        Err(stop) => {
            report.refuse(stop.at, stop.message, stop.hint);
            None
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    report: &'a Report<'a>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Vec<Entry>, Stop> {
        let root = loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd => return Err(no_keys(at)),
                _ => break self.node(event, at)?,
            }
        };
        self.refuse_second_document()?;
        match root.content {
            Content::Map(entries) => Ok(entries),
            _ => Err(no_keys(root.at)),
        }
    }

    fn refuse_second_document(&mut self) -> Result<(), Stop> {
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(..) => {
                    return Err(stop(
                        at,
                        "a second document begins here",
                        "keep one policy in a file and remove the `---`",
                    ));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, at: Position) -> Result<Node, Stop> {
        refuse_references(&event, at)?;
        let content = match event {
            Event::Scalar(text, style, ..) => scalar(text.into_owned(), style),
            Event::SequenceStart(..) => Content::List(self.list()?),
            Event::MappingStart(..) => Content::Map(self.map()?),
            _ => return Err(stop(at, "a value is missing here", SYNTAX_HINT)),
        };
        Ok(Node { at, content })
    }

    fn list(&mut self) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(items);
            }
            items.push(self.node(event, at)?);
        }
    }

    fn map(&mut self) -> Result<Vec<Entry>, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let Content::Text(key) = self.node(event, at)?.content else {
                return Err(stop(at, "a key must be a plain word", SYNTAX_HINT));
            };
            let (event, value_at) = self.next()?;
            let value = self.node(event, value_at)?;
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let message = format!(
                    "the key `{key}` is written twice; the first is on line {}",
                    first.at.line
                );
                self.report.refuse(at, message, "keep one of the two");
                continue;
            }
            entries.push(Entry { key, at, value });
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Position), Stop> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, position(&span.start))),
            Some(Err(error)) => {
                let message = format!("this is not YAML: {}", error.info());
                Err(stop(position(error.marker()), message, SYNTAX_HINT))
            }
            None => Err(stop(
                Position::START,
                "the file ends too early",
                SYNTAX_HINT,
            )),
        }
    }
}

fn scalar(text: String, style: ScalarStyle) -> Content {
    let says_nothing = matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    if says_nothing && style == ScalarStyle::Plain {
        return Content::Empty;
    }
    Content::Text(text)
}

/// An alias stands for text written elsewhere, a tag changes what text means:
/// neither belongs in a file that people sign off by reading.
fn refuse_references(event: &Event<'_>, at: Position) -> Result<(), Stop> {
    let (anchor, tagged) = match event {
        Event::Alias(id) => (*id, false),
        Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
        Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => {
            (*anchor, tag.is_some())
        }
        _ => (0, false),
    };
    if anchor == 0 && !tagged {
        return Ok(());
    }
    Err(stop(
        at,
        "anchors (`&`), aliases (`*`) and tags (`!`) are not read in policies",
        "write the value out, in quotes if it begins with one of these signs",
    ))
}

fn no_keys(at: Position) -> Stop {
    stop(at, "the file holds no keys", "begin it with `version: 1`")
}

fn stop(at: Position, message: impl Into<String>, hint: impl Into<String>) -> Stop {
    Stop {
        at,
        message: message.into(),
        hint: hint.into(),
    }
}

fn position(marker: &Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}
