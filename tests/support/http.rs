//! Plain HTTP, as much of it as tests need.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The double may be ordered to wait before it answers; no test orders more than this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Status and body of a GET.
pub fn http_get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    http_send(address, "GET", path, &[], "")
}

/// Status and body of a POST of JSON.
pub fn http_post(address: SocketAddr, path: &str, body: &str) -> io::Result<(u16, String)> {
    let headers = [("Content-Type", "application/json")];
    http_send(address, "POST", path, &headers, body)
}

/// Status and body of any request.
///
/// HTTP/1.0, so that the server neither keeps the connection nor cuts the body into chunks.
pub fn http_send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let malformed = || io::Error::other(format!("not an HTTP answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
    Ok((status, body.to_owned()))
}
