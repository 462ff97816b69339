//! The certificate as a page for people, to read and to print: one HTML file, no scripts, nothing from
//! elsewhere, every value escaped. It is a pure function of the certificate.
//!
//! Hazard: the scans for later requests read the page too, and must not take its numbers for identifiers. So
//! counts are parted by thousands, and none stands behind `:` or `=`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Certificate, Exception};
use crate::erasure::manifest::Manifest;

const STYLE: &str = "\
body { font-family: Georgia, serif; max-width: 46em; margin: auto; padding: 2em; color: black; }
h1, h2 { font-family: Helvetica, Arial, sans-serif; }
h2 { border-top: thin solid gray; padding-top: 1em; }
table { border-collapse: collapse; width: max-content; max-width: 46em; }
th, td { border: thin solid silver; padding: 2pt 6pt; text-align: left; vertical-align: top; }
pre { background: whitesmoke; padding: 6pt; white-space: pre-wrap; overflow-wrap: anywhere; }
td, code { overflow-wrap: anywhere; }
.statement { border: medium solid black; padding: 1em; }
@media print { body { padding: unset; font-size: 10pt; } h2 { break-after: avoid; } tr { break-inside: avoid; } }";

/// The page of `certificate`, whose JSON file has this SHA-256 and was signed with this key.
pub fn render(certificate: &Certificate, sha256: &str, public_key: &str) -> String {
    let mut page = Page::default();
    page.statement(certificate);
    page.request(certificate);
    page.erased(certificate);
    page.verification(certificate);
    page.exceptions(&certificate.exceptions);
    page.recipients(certificate);
    page.outside(certificate);
    page.proof(certificate, sha256, public_key);
    let title = escaped(&format!("Certificate of erasure {}", certificate.request));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>\n{STYLE}\n</style>\n</head>\n<body>\n{}</body>\n</html>\n",
        page.body
    )
}

/// What stands between `<body>` and `</body>`. Writing to a string cannot fail.
#[derive(Default)]
struct Page {
    body: String,
}

impl Page {
    fn line(&mut self, html: &str) {
        self.body.push_str(html);
        self.body.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.line(&format!("<h2>{}</h2>", escaped(text)));
    }

    fn paragraph(&mut self, text: &str) {
        self.line(&format!("<p>{}</p>", escaped(text)));
    }

    fn code(&mut self, text: &str) {
        self.line(&format!("<pre>{}</pre>", escaped(text)));
    }

    fn list(&mut self, items: &[String]) {
        self.line("<ul>");
        for item in items {
            self.line(&format!("<li>{}</li>", escaped(item)));
        }
        self.line("</ul>");
    }

    /// A table without a header, whose first column says what the second is.
    fn facts(&mut self, facts: &[(&str, String)]) {
        self.line("<table>");
        for (name, value) in facts {
            let (name, value) = (escaped(name), escaped(value));
            self.line(&format!("<tr><th>{name}</th><td>{value}</td></tr>"));
        }
        self.line("</table>");
    }

    fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        self.line("<table>");
        self.body.push_str("<tr>");
        for name in header {
            let _ = write!(self.body, "<th>{}</th>", escaped(name));
        }
        self.line("</tr>");
        for row in rows {
            self.body.push_str("<tr>");
            for cell in row {
                let _ = write!(self.body, "<td>{}</td>", escaped(cell));
            }
            self.line("</tr>");
        }
        self.line("</table>");
    }

    fn statement(&mut self, certificate: &Certificate) {
        self.line("<h1>Certificate of erasure</h1>");
        self.paragraph("Erasure of personal data under Article 17 of the GDPR");
        let erased = &certificate.erased;
        let mut statement = format!(
            "The personal data of the subject of erasure request {} were erased from the lake, namely {} table rows, {} \
             records in raw objects and {} quarantined records. Afterwards everything within the scope below was \
             read again, and {}.",
            certificate.request,
            count(erased.rows - erased.redacted.min(erased.rows)),
            count(erased.raw_records),
            count(erased.quarantined),
            certificate.result
        );
        let kept: u64 = certificate.exceptions.iter().map(|one| one.rows).sum();
        if kept > 0 {
            let _ = write!(
                statement,
                " {} rows stay for now without what identifies the subject, because a law wants them kept.",
                count(kept)
            );
        }
        let statement = escaped(&statement);
        self.line(&format!("<p class=\"statement\">{statement}</p>"));
    }

    fn request(&mut self, certificate: &Certificate) {
        self.heading("The request");
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
        let filing = &certificate.filing;
        let extended = match &certificate.extended {
            Some(decision) => format!("{}; {}", moment(decision.at), decision.reason),
            None => "no".into(),
        };
        let in_time = if certificate.in_time { "yes" } else { "no" };
        self.facts(&[
            ("Request", certificate.request.clone()),
            ("Reference", or_dash(&filing.reference)),
            ("Received", moment(certificate.received)),
            ("Deadline (Art. 12(3))", moment(certificate.deadline)),
            ("Deadline extended", extended),
            ("Carried out before the deadline", in_time.into()),
            ("Identity checked by", or_dash(&filing.identity_checked_by)),
            ("Approved by", or_dash(&filing.approved_by)),
            ("Events erased up to", moment(certificate.until)),
            ("Further ids found by links", count(certificate.linked_ids)),
        ]);
        self.paragraph(
            "The subject is named by keyed hashes alone (HMAC-SHA-256). They say nothing without the key, which \
             is not in the lake.",
        );
        let hashes = certificate.subject.iter();
        let hashes = hashes.map(|one| vec![one.kind.clone(), one.hash.clone()]);
        self.table(&["Kind", "Keyed hash"], &hashes.collect::<Vec<_>>());
        self.heading("What happened when");
        let history = certificate.history.iter();
        let history = history.map(|passed| vec![moment(passed.at), passed.state.to_string()]);
        self.table(&["Time", "State"], &history.collect::<Vec<_>>());
    }

    fn erased(&mut self, certificate: &Certificate) {
        self.heading("What was erased");
        let mut rows = Vec::new();
        for (table, erased) in &certificate.tables {
            let days = match (erased.days.first(), erased.days.last()) {
                (Some(first), Some(last)) => {
                    format!("{} ({first} to {last})", count(erased.days.len() as u64))
                }
                _ => "none".into(),
            };
            let counts = [
                erased.rows,
                erased.redacted,
                erased.files,
                erased.raw_records,
                erased.raw_objects,
                erased.quarantined,
            ];
            let mut row = vec![table.clone()];
            row.extend(counts.map(count));
            row.push(days);
            rows.push(row);
        }
        let header = [
            "Table",
            "Rows",
            "of these pseudonymised",
            "Table files",
            "Raw records",
            "Raw objects",
            "Quarantined",
            "Days",
        ];
        self.table(&header, &rows);
        self.heading("How it was done");
        self.list(&certificate.method);
    }

    fn verification(&mut self, certificate: &Certificate) {
        self.heading("What was verified");
        self.paragraph(&format!("Result: {}.", certificate.result));
        let mut facts = Vec::new();
        if let Ok(Value::Object(verification)) = serde_json::to_value(&certificate.verification) {
            for (name, value) in verification {
                flatten(&name.replace('_', " "), &value, &mut facts);
            }
        }
        self.table(&["Verification", "Found"], &facts);
        self.paragraph("Its scope was every version of every object in these places.");
        self.list(&certificate.scope);
    }

    fn exceptions(&mut self, exceptions: &[Exception]) {
        self.heading("Exceptions");
        if exceptions.is_empty() {
            self.paragraph("None. No row is kept in pseudonymised form.");
            return;
        }
        self.paragraph(
            "These rows stay without what identifies the subject (pseudonymised, Art. 4(5)), because a law wants \
             them kept (Art. 17(3)). They are deleted once that is over, without anybody having to ask.",
        );
        let row = |one: &Exception| {
            let basis = one.basis.as_deref().unwrap_or("none any more, they go");
            let until = one
                .pseudonymised_until
                .map_or_else(|| "the next run".into(), |day| day.to_string());
            vec![one.table.clone(), count(one.rows), basis.to_owned(), until]
        };
        let rows: Vec<_> = exceptions.iter().map(row).collect();
        self.table(
            &["Table", "Rows", "Legal basis", "Pseudonymised until"],
            &rows,
        );
    }

    fn recipients(&mut self, certificate: &Certificate) {
        self.heading("Recipients of the data (Art. 19)");
        if certificate.recipients.is_empty() {
            self.paragraph("The policies name none.");
        } else {
            let rows: Vec<_> = certificate
                .recipients
                .iter()
                .map(|recipient| {
                    let done = match &recipient.acknowledged {
                        Some(told) => format!("acknowledged {} by {}", moment(told.at), told.by),
                        None => "still to be told when this was written".into(),
                    };
                    vec![recipient.name.clone(), done]
                })
                .collect();
            self.table(&["Recipient", "State"], &rows);
        }
        for manifest in &certificate.manifests {
            self.manifest(manifest);
        }
    }

    fn manifest(&mut self, manifest: &Manifest) {
        let rows = match manifest.rows {
            Some(rows) => format!("{} rows", count(rows)),
            None => "made anew".into(),
        };
        self.paragraph(&format!(
            "To delete from copies of {} ({}), {rows} on {} days",
            manifest.table,
            manifest.location,
            count(manifest.days.len() as u64)
        ));
        self.code(&manifest.sql());
    }

    fn outside(&mut self, certificate: &Certificate) {
        self.heading("What this certificate does not speak of");
        let rows = certificate.outside.iter();
        let rows = rows.map(|one| vec![one.what.clone(), one.who.clone()]);
        self.table(&["What", "Who has to act"], &rows.collect::<Vec<_>>());
    }

    fn proof(&mut self, certificate: &Certificate, sha256: &str, public_key: &str) {
        self.heading("Whether this certificate is genuine");
        self.facts(&[
            ("Certified", moment(certificate.certified_at)),
            ("Program", certificate.program.clone()),
            ("Run", certificate.run.clone()),
            ("SHA-256 of the policies", certificate.policies.clone()),
            ("SHA-256 of the JSON file", sha256.into()),
            ("Public key (Ed25519)", public_key.into()),
        ]);
        self.paragraph(
            "This page says what the JSON file of the certificate says. That file is signed, and the audit log of \
             the lake has its digest. These commands check both, the second without this program.",
        );
        let id = &certificate.request;
        self.code(&format!(
            "lakewarden erase certificate {id} --to .\n\
             openssl pkeyutl -verify -pubin -inkey {id}.pem -rawin -in {id}.json -sigfile {id}.sig"
        ));
    }
}

/// A value as rows of a table: counts and texts as they are, of lists the length.
fn flatten(name: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let text = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(&format!("{name}, {}", field.replace('_', " ")), value, rows);
            }
            return;
        }
        Value::Array(elements) => count(elements.len() as u64),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), count),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Null => "–".into(),
    };
    rows.push(vec![name.to_owned(), text]);
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A number with its thousands parted.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut parted = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            parted.push(',');
        }
        parted.push(digit);
    }
    parted
}

/// A text that no browser takes for markup, inside an element or an attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            _ => safe.push(sign),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_people_write_becomes_markup() {
        assert_eq!(
            escaped("<b onclick=\"x('&')\">"),
            "&lt;b onclick=&quot;x(&apos;&amp;&apos;)&quot;&gt;"
        );
    }

    #[test]
    fn thousands_are_parted() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (5_550_001, "5,550,001"),
        ] {
            assert_eq!(count(number), text);
        }
    }
}
