//! Columns that look like they identify a person and are in no policy: they would survive every erasure of
//! that person.
//!
//! Names are all there is to go by: values would have to be read, and say less. A name that is flagged
//! wrongly is listed in the policy as `not_personal`.

use arrow::datatypes::Schema;

use crate::decode::{FieldPath, is_reserved};
use crate::lake::parquet_files::leaf_paths;
use crate::policy::{OnErasure, PiiPolicy};

/// What names of personal fields hold, in small letters and without `_` and `-`. An id of a person, a way
/// to reach or find them, what names them, or what they pay with.
const TELLING: [&str; 32] = [
    "userid",
    "customerid",
    "clientid",
    "accountid",
    "memberid",
    "visitorid",
    "guestid",
    "personid",
    "subjectid",
    "profileid",
    "loyaltynumber",
    "sessionid",
    "deviceid",
    "advertisingid",
    "cookieid",
    "email",
    "phone",
    "mobilenumber",
    "ipaddress",
    "postaladdress",
    "streetaddress",
    "firstname",
    "lastname",
    "fullname",
    "surname",
    "username",
    "birthdate",
    "dateofbirth",
    "passport",
    "cardholder",
    "cardnumber",
    "iban",
];

/// The columns of a table with `schema` that look like identifiers and that `pii` does not speak of.
pub fn unlisted(pii: &PiiPolicy, schema: &Schema) -> Vec<FieldPath> {
    let mut listed = pii.paths();
    listed.extend(pii.links.keys().cloned());
    listed.extend(pii.not_personal.iter().cloned());
    if let OnErasure::Redact(redaction) = &pii.on_erasure {
        listed.extend(redaction.fields.keys().cloned());
    }
    let mut found = Vec::new();
    for leaf in leaf_paths(schema) {
        let (Some(first), Some(last)) = (leaf.first(), leaf.last()) else {
            continue;
        };
        let path = FieldPath::from_names(leaf.iter().cloned());
        if !is_reserved(first) && is_telling(last) && !listed.contains(&path) {
            found.push(path);
        }
    }
    found
}

fn is_telling(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|sign| sign.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    TELLING.iter().any(|telling| plain.contains(telling))
}

/// What to tell people of such columns.
pub fn finding(table: &str, found: &[FieldPath]) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    Some(format!(
        "{table}: {} look like they identify a person and are in no policy, so an erasure leaves them: list them \
         under `identifiers`, `links`, or `not_personal`",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn what_sounds_like_a_person_is_told_unless_a_policy_speaks_of_it() {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let contact = DataType::Struct(vec![text("e_mail"), text("city")].into());
        let schema = Schema::new(vec![
            text("userId"),
            text("customer_id"),
            text("Contact-Phone"),
            text("museumId"),
            text("itemName"),
            text("sessionId"),
            Field::new("contact", contact, true),
            text("_rescued"),
        ]);
        let path = |text: &str| -> FieldPath { text.parse().unwrap() };
        let pii = PiiPolicy {
            identifiers: [("user_id".to_owned(), vec![path("userId")])].into(),
            links: [(path("userId"), vec![path("sessionId")])].into(),
            not_personal: vec![path("customer_id")],
            ..PiiPolicy::default()
        };
        let found: Vec<String> = unlisted(&pii, &schema)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["Contact-Phone", "contact.e_mail"]);
        assert!(
            finding("cart", &unlisted(&pii, &schema))
                .unwrap()
                .contains("contact.e_mail")
        );
        assert_eq!(finding("cart", &[]), None);
    }
}
