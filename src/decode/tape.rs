//! What a scan leaves behind: the values of a record in the order of the text, eight bytes each.
//!
//! Hazard: a tape is as long as its record has values, and a small value costs more here than in the
//! text; so records are capped at [`MOST_BYTES`], whatever the limits say.

use super::number::is_json_number;
use super::scan::{Container, Listener};
use super::{Reason, scan};

/// Positions and lengths within a record have 29 bits.
pub(super) const MOST_BYTES: u64 = (1 << EXTENT_BITS) - 1;

const EXTENT_BITS: u32 = 29;
const NO_CONTAINER: u32 = (1 << EXTENT_BITS) - 1;

/// What a node is; its upper three bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null = 0,
    True,
    False,
    Number,
    /// A string that is what the record says.
    Text,
    /// A string that was decoded.
    Decoded,
    Array,
    Object,
}

/// A value, or the key before one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    start: u32,
    kind_and_extent: u32,
}

impl Node {
    fn new(kind: Kind, start: usize, extent: usize) -> Self {
        Self {
            start: start as u32,
            kind_and_extent: (kind as u32) << EXTENT_BITS | extent as u32,
        }
    }

    #[inline]
    pub fn kind(self) -> Kind {
        match self.kind_and_extent >> EXTENT_BITS {
            0 => Kind::Null,
            1 => Kind::True,
            2 => Kind::False,
            3 => Kind::Number,
            4 => Kind::Text,
            5 => Kind::Decoded,
            6 => Kind::Array,
            _ => Kind::Object,
        }
    }

    /// Where the text of a scalar starts, in the record or in the decoded texts.
    #[inline]
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// The length of a scalar's text; how many nodes are inside a container.
    #[inline]
    pub fn extent(self) -> usize {
        (self.kind_and_extent & NO_CONTAINER) as usize
    }

    /// How many nodes the value takes.
    #[inline]
    pub fn nodes(self) -> usize {
        match self.kind() {
            Kind::Array | Kind::Object => 1 + self.extent(),
            _ => 1,
        }
    }
}

/// The values of one record; its buffers serve one record after the other.
#[derive(Debug)]
pub(super) struct Tape {
    pub nodes: Vec<Node>,
    /// Open containers hold the position of the one around them until they are closed.
    innermost: u32,
    /// Strings that do not stand for themselves.
    to_decode: Vec<u32>,
    /// The first word that JSON does not know.
    bad_word: Option<(u32, Reason)>,
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            innermost: NO_CONTAINER,
            to_decode: Vec::new(),
            bad_word: None,
        }
    }
}

impl Tape {
    /// Reads the value at the start of `data`, white space before it left out. Returns where it ends.
    /// What is inside its strings and words remains to be judged.
    pub fn read(&mut self, data: &[u8], max_depth: usize) -> Result<usize, Reason> {
        self.nodes.clear();
        self.to_decode.clear();
        self.innermost = NO_CONTAINER;
        self.bad_word = None;
        scan::scan(data, 0, max_depth, self)
    }

    /// Decodes the strings that need it and appends their texts to `decoded`; or says what the first thing
    /// is that JSON does not allow.
    pub fn judge(&mut self, text: &str, decoded: &mut String) -> Result<(), Reason> {
        for index in self.to_decode.iter().copied() {
            if let Some((word, reason)) = self.bad_word
                && word < index
            {
                return Err(reason);
            }
            let Some(node) = self.nodes.get_mut(index as usize) else {
                continue;
            };
            let quoted = text.get(node.start() - 1..=node.start() + node.extent());
            let string: String = quoted
                .and_then(|quoted| sonic_rs::from_str(quoted).ok())
                .ok_or(Reason::BadString)?;
            *node = Node::new(Kind::Decoded, decoded.len(), string.len());
            decoded.push_str(&string);
        }
        match self.bad_word {
            Some((_, reason)) => Err(reason),
            None => Ok(()),
        }
    }
}

impl Listener for Tape {
    #[inline]
    fn open(&mut self, container: Container, position: usize) {
        let kind = match container {
            Container::Object => Kind::Object,
            Container::Array => Kind::Array,
        };
        let around = self.innermost as usize;
        self.innermost = self.nodes.len() as u32;
        self.nodes.push(Node::new(kind, position, around));
    }

    #[inline]
    fn close(&mut self) {
        let inside = (self.nodes.len() as u32).wrapping_sub(self.innermost + 1) as usize;
        if let Some(node) = self.nodes.get_mut(self.innermost as usize) {
            self.innermost = node.extent() as u32;
            *node = Node::new(node.kind(), node.start(), inside);
        }
    }

    #[inline]
    fn text(&mut self, start: usize, end: usize, is_plain: bool) {
        if !is_plain {
            self.to_decode.push(self.nodes.len() as u32);
        }
        self.nodes.push(Node::new(Kind::Text, start, end - start));
    }

    #[inline]
    fn word(&mut self, start: usize, word: &[u8]) {
        let kind = match word {
            b"null" => Kind::Null,
            b"true" => Kind::True,
            b"false" => Kind::False,
            _ => Kind::Number,
        };
        if kind == Kind::Number && !is_json_number(word) && self.bad_word.is_none() {
            let looks_like_number = word
                .first()
                .is_some_and(|first| *first == b'-' || first.is_ascii_digit());
            let reason = if looks_like_number {
                Reason::BadNumber
            } else {
                Reason::BadLiteral
            };
            self.bad_word = Some((self.nodes.len() as u32, reason));
        }
        self.nodes.push(Node::new(kind, start, word.len()));
    }
}
