//! A small HTTP/1.1 client: one kept connection, no copies, so that it costs the machine little beside the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::failed;
use crate::error::{Error, Kind, Result};

const PATIENCE: Duration = Duration::from_secs(60);
const ROOM: usize = 256 * 1024;

pub struct Client {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request in full.
pub struct Sent<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub token: &'a str,
    /// More lines of the head, each with its end.
    pub more: &'a str,
    pub body: &'a [u8],
}

pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The body as JSON; an error that shows it when the status is not the one that was expected.
    pub fn json(&self, expected: u16) -> Result<serde_json::Value> {
        if self.status != expected {
            let said = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]);
            return Err(Error::new(Kind::Busy, format!("the server answered {} instead of {expected}: {said}", self.status)));
        }
        serde_json::from_slice(self.body).map_err(|e| failed("the server's answer", e))
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Client> {
        let open = || {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = open().map_err(|e: std::io::Error| failed(&address.to_string(), e))?;
        Ok(Client { address, stream, buffer: vec![0; ROOM] })
    }

    pub fn get(&mut self, path: &str, token: &str) -> Result<Answer<'_>> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\naccept: application/fhir+json\r\n\r\n",
            self.address
        );
        self.exchange(head.as_bytes(), &[])
    }

    pub fn post(&mut self, path: &str, token: &str, body: &[u8]) -> Result<Answer<'_>> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.exchange(head.as_bytes(), body)
    }

    /// Any other request, with FHIR in its body when it has one.
    pub fn send(&mut self, sent: &Sent<'_>) -> Result<Answer<'_>> {
        let (Sent { method, path, token, more, body }, host) = (sent, self.address);
        let length = body.len();
        let content =
            if body.is_empty() { String::new() } else { format!("content-type: application/fhir+json\r\ncontent-length: {length}\r\n") };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n{content}{more}\r\n");
        self.exchange(head.as_bytes(), body)
    }

    fn exchange(&mut self, head: &[u8], body: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(head).and_then(|()| self.stream.write_all(body)).map_err(|e| failed("the connection", e))?;
        let mut filled = 0;
        let end = loop {
            filled += self.more(filled)?;
            // Only the last bytes can complete the blank line, but heads are short.
            if let Some(at) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let (status, length) = head_of(&self.buffer[..end])?;
        let whole = end + length;
        if self.buffer.len() < whole + 1 {
            self.buffer.resize(whole + 1, 0);
        }
        while filled < whole {
            filled += self.more(filled)?;
        }
        Ok(Answer { status, body: &self.buffer[end..whole] })
    }

    fn more(&mut self, filled: usize) -> Result<usize> {
        match self.stream.read(&mut self.buffer[filled..]).map_err(|e| failed("the connection", e))? {
            0 => Err(failed("the connection", "closed by the server")),
            n => Ok(n),
        }
    }
}

/// Status and content length of a response's head.
fn head_of(head: &[u8]) -> Result<(u16, usize)> {
    let unread = || failed("the server's answer", "not HTTP/1.1 with a content-length");
    let text = std::str::from_utf8(head).map_err(|_| unread())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).ok_or_else(unread)?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    match (status, length) {
        (_, Some(length)) => Ok((status, length)),
        (204 | 304, None) => Ok((status, 0)),
        _ => Err(unread()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_head_gives_status_and_length() {
        assert_eq!(super::head_of(b"HTTP/1.1 202 Accepted\r\nContent-Length: 17\r\nx: y\r\n\r\n").unwrap(), (202, 17));
        assert!(super::head_of(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
