//! Redaction: an event without what identifies its subject (pseudonymisation, GDPR Art. 4(5)).

use chrono::NaiveDate;

use super::canonical;
use crate::decode::Json;
use crate::lake::key::Hasher;
use crate::policy::{OnErasure, PiiPolicy, Redaction, Replacement};

/// How events of this day are redacted, where a law still wants them kept; else they go whole.
pub fn kept_by_law(pii: &PiiPolicy, day: NaiveDate, today: NaiveDate) -> Option<&Redaction> {
    match &pii.on_erasure {
        OnErasure::Redact(redaction) if day >= redaction.keep.before_date(today) => Some(redaction),
        _ => None,
    }
}

/// The event with every field that `redaction` names replaced. `hasher`: for redaction alone.
pub fn redact(event: &Json, redaction: &Redaction, pii: &PiiPolicy, hasher: &Hasher) -> Json {
    let mut redacted = event.clone();
    for (path, replacement) in &redaction.fields {
        let kind = pii.kind_of(path);
        let replace = |value: &Json| -> Option<Json> {
            match replacement {
                Replacement::Null => None,
                Replacement::Constant(text) => Some(Json::String(text.clone())),
                Replacement::Hash => {
                    let text = canonical(value, pii.compare(&kind));
                    let text = text.unwrap_or_else(|| value.to_string());
                    Some(Json::String(hasher.hash(&format!("v1:{kind}:{text}"))))
                }
            }
        };
        replace_at(&mut redacted, path.names(), &replace);
    }
    redacted
}

/// Replaces what stands at a path; lists on the way and at its end are descended into.
fn replace_at(value: &mut Json, names: &[String], replace: &dyn Fn(&Json) -> Option<Json>) {
    match (value, names.split_first()) {
        (Json::Array(elements), _) => {
            for element in elements {
                replace_at(element, names, replace);
            }
        }
        (Json::Object(members), Some((first, rest))) => {
            let taken = std::mem::take(members);
            for (name, mut member) in taken {
                if name != *first {
                    members.push((name, member));
                } else if !rest.is_empty() {
                    replace_at(&mut member, rest, replace);
                    members.push((name, member));
                } else if let Some(member) = replaced(member, replace) {
                    members.push((name, member));
                }
            }
        }
        _ => {}
    }
}

/// What stands in place of a value; lists keep their length only if their elements do.
fn replaced(value: Json, replace: &dyn Fn(&Json) -> Option<Json>) -> Option<Json> {
    match value {
        Json::Null => Some(Json::Null),
        Json::Array(elements) => {
            let elements: Vec<Json> = elements
                .into_iter()
                .filter_map(|element| replaced(element, replace))
                .collect();
            (!elements.is_empty()).then_some(Json::Array(elements))
        }
        value => replace(&value),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lake::key::{Key, Purpose};
    use crate::policy::Span;

    fn redacted(event: &str) -> String {
        let fields = [
            ("userId", Replacement::Hash),
            ("email", Replacement::Null),
            ("order.link", Replacement::Constant("erased".into())),
            ("guests.name", Replacement::Null),
        ];
        let fields = fields.map(|(path, replacement)| (path.parse().unwrap(), replacement));
        let redaction = Redaction {
            fields: BTreeMap::from(fields),
            keep: "90 days".parse::<Span>().unwrap(),
            basis: "chargebacks".into(),
        };
        let hasher = Key::parse(&"ab".repeat(32))
            .unwrap()
            .hasher(Purpose::Redaction)
            .unwrap();
        let event = Json::parse(event.as_bytes()).unwrap();
        redact(&event, &redaction, &PiiPolicy::default(), &hasher).to_string()
    }

    #[test]
    fn every_field_that_is_named_is_replaced_wherever_it_stands() {
        let event = r#"{"a":1,"email":"x@y","email":["z"],"order":[{"link":"u"},{"link":null,"b":2}],
            "guests":[{"name":"n","age":3},{"age":4}]}"#;
        assert_eq!(
            redacted(event),
            r#"{"a":1,"order":[{"link":"erased"},{"link":null,"b":2}],"guests":[{"age":3},{"age":4}]}"#
        );
    }

    #[test]
    fn a_hash_is_the_same_for_the_same_value_and_says_nothing_of_it() {
        let one = redacted(r#"{"userId":12345}"#);
        assert_eq!(one, redacted(r#"{"userId":"12345"}"#));
        assert_ne!(one, redacted(r#"{"userId":"12346"}"#));
        assert!(!one.contains("12345") && one.len() > 64);
    }
}
