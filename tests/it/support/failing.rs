//! An endpoint in front of a server, where deleting and aborting fail in part.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use lakewarden::embedded::EmbeddedS3;

use super::server::Server;

/// What fails: told a key, and how often it was to be deleted before, the error code.
type Fails = fn(&str, usize) -> Option<&'static str>;

/// Passes on everything to `server`, but of a batch that is to be deleted only what does not fail, and no
/// abort of an upload that does. It ends with the process.
pub fn failing(server: &Server, fails: Fails) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let front = Arc::new(Front {
        behind: server.endpoint.clone(),
        fails,
        asked: Mutex::default(),
    });
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, front) = (client.unwrap(), Arc::clone(&front));
            // A client that goes away is none of our business.
            thread::spawn(move || front.answer(client));
        }
    });
    endpoint
}

struct Front {
    behind: String,
    fails: Fails,
    /// How often each key was to be deleted.
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Front {
    fn answer(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut head = String::new();
        let mut reader = BufReader::new(client.try_clone()?);
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        if head.starts_with("POST ") && target.contains("?delete") {
            let bucket = target.trim_start_matches('/').split(['/', '?']).next();
            let mut body = vec![0; length(&head)];
            reader.read_exact(&mut body)?;
            let answer = self.delete(bucket.unwrap(), &String::from_utf8(body).unwrap());
            let length = answer.len();
            return client.write_all(
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{answer}")
                    .as_bytes(),
            );
        }
        let is_abort = head.starts_with("DELETE ") && target.contains("uploadId=");
        if let (true, Some(code)) = (is_abort, (self.fails)(target, 0)) {
            let error = format!("<Error><Code>{code}</Code></Error>");
            let length = error.len();
            return client.write_all(
                format!("HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{error}")
                    .as_bytes(),
            );
        }
        let mut server = TcpStream::connect(self.behind.trim_start_matches("http://"))?;
        let last = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        server.write_all(last.as_bytes())?;
        let mut body = server.try_clone()?;
        thread::spawn(move || copy(&mut reader, &mut body));
        copy(&mut server, &mut client)?;
        client.shutdown(Shutdown::Both)
    }

    /// Deletes what does not fail, and answers as S3 does.
    fn delete(&self, bucket: &str, body: &str) -> String {
        let (mut errors, mut delete, mut meant) = (String::new(), Delete::builder(), 0);
        for object in body.split("<Object>").skip(1) {
            let (key, version) = (text(object, "Key"), text(object, "VersionId"));
            let mut asked = self.asked.lock().unwrap();
            let before = asked.entry(key.to_owned()).or_default();
            if let Some(code) = (self.fails)(key, *before) {
                write!(
                    errors,
                    "<Error><Key>{key}</Key><VersionId>{version}</VersionId><Code>{code}</Code></Error>"
                )
                .unwrap();
            } else {
                let named = ObjectIdentifier::builder().key(key).version_id(version);
                delete = delete.objects(named.build().unwrap());
                meant += 1;
            }
            *before += 1;
        }
        if meant > 0 {
            self.delete_behind(bucket, delete.build().unwrap());
        }
        format!("<DeleteResult>{errors}</DeleteResult>")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what the program asked for, in part"
    )]
    fn delete_behind(&self, bucket: &str, delete: Delete) {
        let (access, secret) = (EmbeddedS3::ACCESS_KEY, EmbeddedS3::SECRET_KEY);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(EmbeddedS3::REGION))
            .force_path_style(true)
            .endpoint_url(&self.behind)
            .credentials_provider(Credentials::new(access, secret, None, None, "test"))
            .build();
        let request = Client::from_conf(config).delete_objects().bucket(bucket);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let answer = runtime.block_on(request.delete(delete).send()).unwrap();
        assert_eq!(answer.errors(), []);
    }
}

fn length(head: &str) -> usize {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let found = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    found.unwrap().1.trim().parse().unwrap()
}

/// What stands in an element.
fn text<'a>(xml: &'a str, element: &str) -> &'a str {
    let from = xml.split(&format!("<{element}>")).nth(1).unwrap();
    from.split("</").next().unwrap()
}
