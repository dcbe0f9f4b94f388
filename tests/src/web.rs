//! A web server for one test: it serves what it was given, as badly as it was told to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustix::thread::UnshareFlags;

/// Serves files on the loopback of the thread that makes it, until the test ends.
pub struct Web {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

/// How a path is answered.
#[derive(Debug, Clone)]
pub enum Serve {
    /// With the whole file, or the part that was asked for.
    File(Vec<u8>),
    /// With the whole file, whatever was asked for, and with nothing to tell its versions apart.
    WithoutRanges(Vec<u8>),
    /// With no more than so many bytes of the file, after which the connection breaks.
    Broken(Vec<u8>, usize),
    /// With so many bytes of the file, and then with nothing more for the rest of the test.
    Stalled(Vec<u8>, usize),
    /// With nothing for the rest of the test.
    Silent,
    /// With this status and nothing else.
    Status(u16),
    /// With the address of another file.
    Redirect(String),
}

#[derive(Default)]
struct Shared {
    files: HashMap<String, Serve>,
    asked: Vec<String>,
    /// Connections that are kept open without an answer.
    held: Vec<TcpStream>,
}

impl Web {
    /// Starts with nothing to serve: every path is answered with status 404.
    ///
    /// # Panics
    /// When no port can be had.
    #[expect(clippy::new_without_default, reason = "not a value but a process")]
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of this test");
        let port = listener.local_addr().expect("the port").port();
        let shared = Arc::<Mutex<Shared>>::default();
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            // SAFETY: only the attributes of this thread are no longer shared: the thread of the
            // test could not leave its host otherwise (`setns(2)`, EINVAL).
            let alone = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) };
            alone.expect("file system attributes of its own");
            for stream in listener.incoming().flatten() {
                // Who asks may go away at any time.
                let _ = answer(stream, &serving);
            }
        });
        Self { port, shared }
    }

    /// `http://127.0.0.1:PORT`, without a slash at its end.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What is answered to `path` from now on.
    pub fn serve(&self, path: &str, how: Serve) {
        self.lock().files.insert(path.to_owned(), how);
    }

    /// What was asked for since the last call: the path, and the range where there was one.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().asked)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("the server has not panicked")
    }
}

fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut range, mut if_range) = (None, None);
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => range = Some(value.to_owned()),
            "if-range" => if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut shared = shared.lock().expect("the test has not panicked here");
    let asked = range.as_ref().map(|range| format!("{path} {range}"));
    shared.asked.push(asked.unwrap_or_else(|| path.clone()));
    let Some(serve) = shared.files.get(&path).cloned() else {
        return status(&mut stream, 404);
    };
    match serve {
        Serve::File(bytes) => {
            let tag = tag(&bytes);
            let first = range.filter(|_| if_range.as_deref().is_none_or(|known| known == tag));
            let first = first.and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            });
            whole_or_rest(&mut stream, &bytes, &tag, first)
        }
        Serve::WithoutRanges(bytes) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            )?;
            stream.write_all(&bytes)
        }
        Serve::Broken(bytes, length) => beginning(&mut stream, &bytes, length),
        Serve::Stalled(bytes, length) => {
            beginning(&mut stream, &bytes, length)?;
            shared.held.push(stream);
            Ok(())
        }
        Serve::Silent => {
            shared.held.push(stream);
            Ok(())
        }
        Serve::Status(number) => status(&mut stream, number),
        Serve::Redirect(to) => {
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
            )
        }
    }
}

fn beginning(stream: &mut TcpStream, bytes: &[u8], length: usize) -> std::io::Result<()> {
    let (tag, total) = (tag(bytes), bytes.len());
    let head = format!("Connection: close\r\nETag: {tag}\r\nContent-Length: {total}");
    write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n")?;
    stream.write_all(&bytes[..length])
}

fn whole_or_rest(
    stream: &mut TcpStream,
    bytes: &[u8],
    tag: &str,
    first: Option<usize>,
) -> std::io::Result<()> {
    let total = bytes.len();
    let head = format!("Connection: close\r\nETag: {tag}\r\n");
    match first {
        Some(first) if first >= total => {
            write!(
                stream,
                "HTTP/1.1 416 Range Not Satisfiable\r\n{head}Content-Range: bytes */{total}\r\nContent-Length: 0\r\n\r\n"
            )
        }
        Some(first) => {
            let (last, length) = (total - 1, total - first);
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\n{head}Content-Range: bytes {first}-{last}/{total}\r\nContent-Length: {length}\r\n\r\n"
            )?;
            stream.write_all(&bytes[first..])
        }
        None => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\n{head}Content-Length: {total}\r\n\r\n"
            )?;
            stream.write_all(bytes)
        }
    }
}

fn status(stream: &mut TcpStream, number: u16) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {number} Status\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Another content has another tag.
fn tag(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(7u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    format!("\"{sum:x}\"")
}
