//! Text of one JSON value → [`Json`].
//!
//! `sonic-rs` decodes the strings. It does not build the tree: its tree builder recurses with
//! frames so large that a hundred levels overflow a test thread's stack, its general serde path
//! gives no number text, and it passes bytes that are not UTF-8. Structure comes from the
//! scanner that frames records. Keeps invariant 2.

use super::scan::{Grammar, Kind, Token, Tokens};
use super::{Json, Number, Reason};

/// A container whose end has not been seen.
enum Open {
    Array(Vec<Json>),
    Object(Vec<(String, Json)>, Option<String>),
}

/// Reads exactly one value, at most `max_depth` containers deep.
pub(super) fn parse(bytes: &[u8], max_depth: usize) -> Result<Json, Reason> {
    let text = str::from_utf8(bytes).map_err(|_| Reason::NotUtf8)?;
    let mut tokens = Tokens::new(bytes, 0);
    let mut grammar = Grammar::new(max_depth);
    let mut open: Vec<Open> = Vec::new();
    let mut whole = None;
    while let Some(token) = tokens.next()? {
        if grammar.is_done() {
            return Err(Reason::TrailingText);
        }
        grammar.accept(token.kind)?;
        if let Some(value) = take(text, token, &mut open)? {
            whole = place(value, &mut open);
        }
    }
    whole.filter(|_| grammar.is_done()).ok_or(Reason::Truncated)
}

/// The value that this token completes, if it does.
fn take(text: &str, token: Token, open: &mut Vec<Open>) -> Result<Option<Json>, Reason> {
    let spelled = text.get(token.start..token.end).unwrap_or_default();
    match token.kind {
        Kind::OpenObject => open.push(Open::Object(Vec::new(), None)),
        Kind::OpenArray => open.push(Open::Array(Vec::new())),
        Kind::Colon | Kind::Comma => {}
        Kind::Word => return word(spelled).map(Some),
        Kind::Text => {
            let string: String = sonic_rs::from_str(spelled).map_err(|_| Reason::BadString)?;
            match open.last_mut() {
                Some(Open::Object(_, key @ None)) => *key = Some(string),
                _ => return Ok(Some(Json::String(string))),
            }
        }
        Kind::CloseObject | Kind::CloseArray => {
            return Ok(open.pop().map(|container| match container {
                Open::Array(elements) => Json::Array(elements),
                Open::Object(members, _) => Json::Object(members),
            }));
        }
    }
    Ok(None)
}

/// Puts a value into the container around it; hands it back if there is none.
fn place(value: Json, open: &mut [Open]) -> Option<Json> {
    match open.last_mut() {
        Some(Open::Array(elements)) => elements.push(value),
        Some(Open::Object(members, key)) => members.push((key.take().unwrap_or_default(), value)),
        None => return Some(value),
    }
    None
}

fn word(spelled: &str) -> Result<Json, Reason> {
    match spelled {
        "null" => Ok(Json::Null),
        "true" => Ok(Json::Bool(true)),
        "false" => Ok(Json::Bool(false)),
        _ if spelled.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
            Number::parse(spelled).map(Json::Number)
        }
        _ => Err(Reason::BadLiteral),
    }
}
