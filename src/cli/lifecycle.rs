//! `lifecycle`: rules for S3 to carry out behind the program. Made from the policies alone.

use std::collections::BTreeMap;
use std::fmt;

use super::open::policy_folder;
use super::{Failure, Global};
use crate::policy::Policies;
use crate::retention::lifecycle::{Configuration, net};

/// Prints the rules.
pub fn main(global: &Global) -> Result<(), Failure> {
    let policies = Policies::load(&policy_folder(global)).map_err(Failure::from_error)?;
    super::print(global, &Net(net(&policies)))?;
    super::say(
        "hint: a bucket's rules are put all at once: add those that others have there to its file first; S3 knows \
         nothing of holds, so while there is one leave out what deletes objects or their versions",
    );
    Ok(())
}

/// The rules by bucket.
#[derive(serde::Serialize)]
struct Net(BTreeMap<String, Configuration>);

impl fmt::Display for Net {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bucket, configuration) in &self.0 {
            writeln!(formatter, "{bucket}")?;
            for rule in &configuration.rules {
                writeln!(formatter, "  {rule}")?;
            }
            let json = serde_json::to_string_pretty(configuration).map_err(|_| fmt::Error)?;
            writeln!(formatter, "{json}")?;
            writeln!(
                formatter,
                "aws s3api put-bucket-lifecycle-configuration --bucket {bucket} \
                 --lifecycle-configuration file://{bucket}.json\n"
            )?;
        }
        Ok(())
    }
}
