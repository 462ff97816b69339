//! An endpoint in front of a server, that may not do everything.

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::server::Server;

/// Passes on what only reads to `server`, but answers requests whose query begins with `denied` with this
/// status and error code. It ends with the process.
pub fn denying(server: &Server, denied: &'static str, status: u16, code: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let behind = server.endpoint.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, behind) = (client.unwrap(), behind.clone());
            let error = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
            let refusal = format!(
                "HTTP/1.1 {status} No\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{error}",
                error.len()
            );
            // A client that goes away is none of our business.
            thread::spawn(move || pass_on(client, &behind, denied, &refusal));
        }
    });
    endpoint
}

fn pass_on(
    mut client: TcpStream,
    behind: &str,
    denied: &str,
    refusal: &str,
) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(client.try_clone()?);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let target = head.split(' ').nth(1).unwrap_or_default();
    if target.contains(&format!("?{denied}")) {
        return client.write_all(refusal.as_bytes());
    }
    let mut server = TcpStream::connect(behind)?;
    let last = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(last.as_bytes())?;
    copy(&mut server, &mut client)?;
    Ok(())
}
