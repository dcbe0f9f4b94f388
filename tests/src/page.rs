//! What a published port shows, as seen from the test's host.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::wait_until;

/// What the page of a web server at `address`, seen from the test's host, has to say.
///
/// # Errors
/// When nobody answers, or not for five seconds.
///
/// # Panics
/// When it is no address and port.
pub fn fetch(address: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().expect("an address");
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Waits until the page there says hello.
pub fn wait_for_page(address: &str) {
    wait_until(&format!("{address} answers"), || {
        fetch(address).is_ok_and(|page| page.contains("hello"))
    });
}
