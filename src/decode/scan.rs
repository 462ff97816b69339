//! The structure of JSON text: tokens, and the grammar that says which may follow which.
//!
//! Both framing and parsing stand on this one scanner, so they cannot disagree about where a
//! record ends. It knows strings, escapes and brackets; what is inside strings and words
//! (numbers, `true`, `NaN`) is the parser's business, so a bad one breaks its record only.
//! It keeps its own stack: depth costs no call stack.

use super::Reason;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    OpenObject,
    CloseObject,
    OpenArray,
    CloseArray,
    Colon,
    Comma,
    /// A string with its quotes.
    Text,
    /// Anything else up to white space, a quote or a bracket.
    Word,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// Cuts bytes into tokens.
pub(super) struct Tokens<'data> {
    data: &'data [u8],
    position: usize,
}

impl<'data> Tokens<'data> {
    pub fn new(data: &'data [u8], position: usize) -> Self {
        Self { data, position }
    }

    /// The next token, `None` at the end of the data.
    pub fn next(&mut self) -> Result<Option<Token>, Reason> {
        let start = skip_white_space(self.data, self.position);
        let Some(&first) = self.data.get(start) else {
            return Ok(None);
        };
        let (kind, end) = match first {
            b'{' => (Kind::OpenObject, start + 1),
            b'}' => (Kind::CloseObject, start + 1),
            b'[' => (Kind::OpenArray, start + 1),
            b']' => (Kind::CloseArray, start + 1),
            b':' => (Kind::Colon, start + 1),
            b',' => (Kind::Comma, start + 1),
            b'"' => (Kind::Text, end_of_string(self.data, start + 1)?),
            _ => (Kind::Word, end_of_word(self.data, start + 1)),
        };
        self.position = end;
        Ok(Some(Token { kind, start, end }))
    }
}

pub(super) fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

pub(super) fn skip_white_space(data: &[u8], mut position: usize) -> usize {
    while data.get(position).is_some_and(|byte| is_white_space(*byte)) {
        position += 1;
    }
    position
}

fn end_of_string(data: &[u8], mut position: usize) -> Result<usize, Reason> {
    loop {
        match data.get(position) {
            Some(b'"') => return Ok(position + 1),
            // A line break in a string is where a truncated line ends.
            Some(b'\n') => return Err(Reason::BrokenString),
            Some(b'\\') if data.get(position + 1).is_some_and(|next| *next != b'\n') => {
                position += 2;
            }
            Some(_) => position += 1,
            None => return Err(Reason::Truncated),
        }
    }
}

fn end_of_word(data: &[u8], mut position: usize) -> usize {
    let ends = |byte: u8| is_white_space(byte) || b"{}[]:,\"".contains(&byte);
    while data.get(position).is_some_and(|byte| !ends(*byte)) {
        position += 1;
    }
    position
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    Colon,
    CommaOrClose,
    Nothing,
}

/// Which token may come next within one JSON value.
pub(super) struct Grammar {
    open: Vec<Container>,
    expect: Expect,
    max_depth: usize,
}

impl Grammar {
    pub fn new(max_depth: usize) -> Self {
        Self {
            open: Vec::new(),
            expect: Expect::Value,
            max_depth,
        }
    }

    /// Whether the value is complete.
    pub fn is_done(&self) -> bool {
        self.expect == Expect::Nothing
    }

    /// Takes the next token or says why it cannot stand here.
    pub fn accept(&mut self, kind: Kind) -> Result<(), Reason> {
        let value_may_start = matches!(self.expect, Expect::Value | Expect::ValueOrClose);
        let key_may_start = matches!(self.expect, Expect::Key | Expect::KeyOrClose);
        match kind {
            Kind::OpenObject if value_may_start => self.push(Container::Object, Expect::KeyOrClose),
            Kind::OpenArray if value_may_start => self.push(Container::Array, Expect::ValueOrClose),
            Kind::Text if key_may_start => {
                self.expect = Expect::Colon;
                Ok(())
            }
            Kind::Text | Kind::Word if value_may_start => {
                self.value_ended();
                Ok(())
            }
            Kind::Colon if self.expect == Expect::Colon => {
                self.expect = Expect::Value;
                Ok(())
            }
            Kind::Comma if self.expect == Expect::CommaOrClose => {
                self.expect = match self.open.last() {
                    Some(Container::Object) => Expect::Key,
                    _ => Expect::Value,
                };
                Ok(())
            }
            Kind::CloseObject => self.pop(Container::Object, Expect::KeyOrClose),
            Kind::CloseArray => self.pop(Container::Array, Expect::ValueOrClose),
            _ => Err(Reason::Syntax),
        }
    }

    fn push(&mut self, container: Container, expect: Expect) -> Result<(), Reason> {
        if self.open.len() >= self.max_depth {
            return Err(Reason::TooDeep);
        }
        self.open.push(container);
        self.expect = expect;
        Ok(())
    }

    fn pop(&mut self, container: Container, when_empty: Expect) -> Result<(), Reason> {
        let may_close = self.expect == Expect::CommaOrClose || self.expect == when_empty;
        if !may_close || self.open.last() != Some(&container) {
            return Err(Reason::Syntax);
        }
        self.open.pop();
        self.value_ended();
        Ok(())
    }

    fn value_ended(&mut self) {
        self.expect = if self.open.is_empty() {
            Expect::Nothing
        } else {
            Expect::CommaOrClose
        };
    }
}

/// Where the JSON value that starts at `start` ends, or why it has no end.
pub(super) fn end_of_value(data: &[u8], start: usize, max_depth: usize) -> Result<usize, Reason> {
    let mut tokens = Tokens::new(data, start);
    let mut grammar = Grammar::new(max_depth);
    loop {
        let token = tokens.next()?.ok_or(Reason::Truncated)?;
        grammar.accept(token.kind)?;
        if grammar.is_done() {
            return Ok(token.end);
        }
    }
}
