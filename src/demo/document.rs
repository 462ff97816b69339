//! Writes JSON text the way the services do: numbers keep the digits that they are given
//! (`60.00` stays `60.00`), keys keep their order, and an object without fields is `{}`.

use std::fmt::{Display, Write};

/// How the fields of a document are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    /// All on one line.
    Line,
    /// A line a field, indented by four spaces a level.
    Pretty,
}

/// A JSON document in the making. Names and texts are written as they are: they need no escapes.
pub(super) struct Document {
    text: String,
    spacing: Spacing,
    depth: usize,
    at_start: bool,
}

impl Document {
    /// One JSON object with the fields that `fill` writes.
    pub(super) fn write(spacing: Spacing, fill: impl FnOnce(&mut Self)) -> String {
        let mut document = Self {
            text: String::with_capacity(1024),
            spacing,
            depth: 0,
            at_start: true,
        };
        document.nest('{', '}', fill);
        document.text
    }

    pub(super) fn text(&mut self, name: &str, value: impl Display) {
        self.name(name);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "\"{value}\"");
    }

    /// A value that is JSON text already: a number, `null`.
    pub(super) fn bare(&mut self, name: &str, value: impl Display) {
        self.name(name);
        let _ = write!(self.text, "{value}");
    }

    /// Money with its two decimals.
    pub(super) fn money(&mut self, name: &str, pence: u32) {
        self.name(name);
        let _ = write!(self.text, "{}.{:02}", pence / 100, pence % 100);
    }

    /// Yes or no as these services say it: a text.
    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.text(name, if value { "True" } else { "False" });
    }

    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.name(name);
        self.nest('{', '}', fill);
    }

    /// A list of objects, one for each of `elements`.
    pub(super) fn list<T>(&mut self, name: &str, elements: &[T], fill: impl Fn(&mut Self, &T)) {
        self.name(name);
        self.nest('[', ']', |list| {
            for element in elements {
                list.separate();
                list.nest('{', '}', |object| fill(object, element));
            }
        });
    }

    fn name(&mut self, name: &str) {
        self.separate();
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\": ");
    }

    fn separate(&mut self) {
        if !self.at_start {
            self.text.push(',');
        }
        match self.spacing {
            Spacing::Pretty => self.break_line(),
            Spacing::Line if !self.at_start => self.text.push(' '),
            Spacing::Line => {}
        }
        self.at_start = false;
    }

    fn nest(&mut self, open: char, close: char, fill: impl FnOnce(&mut Self)) {
        self.text.push(open);
        self.depth += 1;
        self.at_start = true;
        fill(self);
        self.depth -= 1;
        if !self.at_start && self.spacing == Spacing::Pretty {
            self.break_line();
        }
        self.text.push(close);
        self.at_start = false;
    }

    fn break_line(&mut self) {
        self.text.push('\n');
        for _ in 0..self.depth {
            self.text.push_str("    ");
        }
    }
}
