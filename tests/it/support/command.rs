//! Runs the binary and takes down all that it says.

use std::path::Path;
use std::time::Duration;

use lakewarden::embedded::EmbeddedS3;
use serde_json::Value;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_lakewarden");

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a command came to.
#[derive(Debug)]
pub struct Outcome {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The environment that commands get: nothing of this machine's S3 settings, the embedded server's
/// credentials.
pub fn environment() -> [(&'static str, String); 5] {
    [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("HOME", "/nonexistent".into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("AWS_ACCESS_KEY_ID", EmbeddedS3::ACCESS_KEY.into()),
        ("AWS_SECRET_ACCESS_KEY", EmbeddedS3::SECRET_KEY.into()),
    ]
}

/// Runs the program.
pub fn lakewarden(arguments: &[&str]) -> Outcome {
    lakewarden_with(arguments, &[], "")
}

/// Runs the program with more (or other) variables, and something on its standard input.
pub fn lakewarden_with(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Outcome {
    let output = assert_cmd::Command::new(BINARY)
        .env_clear()
        .envs(environment())
        .envs(variables.iter().copied())
        .args(arguments)
        .write_stdin(input)
        .timeout(PATIENCE)
        .output()
        .unwrap();
    Outcome {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Outcome {
    /// That it went well; standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.expect_exit(0);
        serde_json::from_str(&self.stdout).unwrap()
    }

    #[track_caller]
    pub fn expect_exit(&self, exit: i32) -> &Self {
        assert_eq!(
            self.exit, exit,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// That it was refused with this exit code, saying all of `words` on standard error.
    #[track_caller]
    pub fn refused(&self, exit: i32, words: &[&str]) -> &Self {
        self.expect_exit(exit);
        assert_eq!(self.stdout, "", "a refusal prints no data");
        for word in words {
            assert!(
                self.stderr.contains(word),
                "`{word}` is missing in:\n{}",
                self.stderr
            );
        }
        self
    }

    /// That neither stream holds `secret`.
    #[track_caller]
    pub fn does_not_mention(&self, secret: &str) -> &Self {
        assert!(!self.stdout.contains(secret), "stdout: {}", self.stdout);
        assert!(!self.stderr.contains(secret), "stderr: {}", self.stderr);
        self
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
