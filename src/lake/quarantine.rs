//! Quarantine objects: a line a record that could not be understood.

use base64::Engine;

/// The record that a line of a quarantine object keeps; the line itself if it is not one of ours.
pub fn quarantined_record(line: &[u8]) -> Vec<u8> {
    let Ok(line_json) = serde_json::from_slice::<serde_json::Value>(line) else {
        return line.to_vec();
    };
    let text = |name: &str| line_json.get(name).and_then(serde_json::Value::as_str);
    if let Some(record) = text("record") {
        return record.as_bytes().to_vec();
    }
    let decoded = text("record_base64").and_then(|record| {
        base64::engine::general_purpose::STANDARD
            .decode(record)
            .ok()
    });
    decoded.unwrap_or_else(|| line.to_vec())
}
