//! The work that `cargo xtask bench steady` has done in containers and on the host: prints how
//! much of it was done in a second.
//!
//! ```text
//! load cpu | syscall | tcp | ping            loops; TCP with itself on 127.0.0.1
//! load create | write | read DIR             files in a directory
//! load serve PORT | send ADDRESS PORT        TCP from one to another
//! ```

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long each of them works.
const LONG: Duration = Duration::from_millis(300);
/// The size of one read or write.
const BLOCK: usize = 64 << 10;
/// The size of the file that is written or read over and over: the page cache is measured,
/// not the disk.
const FILE: usize = 16 << 20;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match work(&words) {
        Ok(rate) => {
            println!("{rate:.0}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(words: &[&str]) -> Result<f64> {
    match *words {
        ["cpu"] => rate(1 << 16, || {
            let mut state = black_box(88_172_645_463_325_252_u64);
            for _ in 0..1 << 16 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
            }
            black_box(state);
            Ok(())
        }),
        ["syscall"] => rate(256, || {
            for _ in 0..256 {
                black_box(rustix::process::getppid());
            }
            Ok(())
        }),
        ["create", directory] => create(Path::new(directory)),
        ["write", directory] => write(Path::new(directory)),
        ["read", directory] => read(Path::new(directory)),
        ["tcp"] => with_itself(send),
        ["ping"] => with_itself(ping),
        ["serve", port] => serve(port.parse().context("port")?),
        ["send", address, port] => {
            let port: u16 = port.parse().context("port")?;
            send(TcpStream::connect((address, port)).context("connect")?)
        }
        _ => bail!("usage: load cpu|syscall|tcp|ping|create|write|read|serve|send [ARGUMENT]..."),
    }
}

/// Does `step` over and over, and says how often in a second, when one is `weight` things.
fn rate(weight: usize, mut step: impl FnMut() -> Result<()>) -> Result<f64> {
    step()?;
    let start = Instant::now();
    let mut steps = 0_u64;
    while start.elapsed() < LONG {
        step()?;
        steps += 1;
    }
    Ok(steps as f64 * weight as f64 / start.elapsed().as_secs_f64())
}

fn create(directory: &Path) -> Result<f64> {
    let path = directory.join("new");
    rate(1, || {
        let mut file = File::create(&path).context("create")?;
        file.write_all(&[0; 512])?;
        drop(file);
        fs::remove_file(&path).context("remove")
    })
}

fn write(directory: &Path) -> Result<f64> {
    let path = directory.join("file");
    let block = vec![1; BLOCK];
    let rate = rate(FILE, || {
        let mut file = File::create(&path).context("create")?;
        for _ in 0..FILE / BLOCK {
            file.write_all(&block)?;
        }
        Ok(())
    });
    fs::remove_file(&path)?;
    rate
}

fn read(directory: &Path) -> Result<f64> {
    let path = directory.join("file");
    fs::write(&path, vec![1; FILE])?;
    let mut block = vec![0; BLOCK];
    let rate = rate(FILE, || {
        let mut file = File::open(&path).context("open")?;
        while file.read(&mut block)? > 0 {}
        Ok(())
    });
    fs::remove_file(&path)?;
    rate
}

/// A connection of this process with a thread of its own that answers.
fn with_itself(work: fn(TcpStream) -> Result<f64>) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen on 127.0.0.1")?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || answer(&listener));
    let rate = work(TcpStream::connect(address).context("connect to 127.0.0.1")?)?;
    match server.join() {
        Ok(answered) => answered.map(|()| rate),
        Err(_) => bail!("the server has failed"),
    }
}

fn serve(port: u16) -> Result<f64> {
    let listener = TcpListener::bind(("0.0.0.0", port)).context("listen")?;
    loop {
        answer(&listener)?;
    }
}

/// Takes one connection: what comes in small pieces is sent back, the rest only read.
fn answer(listener: &TcpListener) -> Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut block = vec![0; BLOCK];
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            1 => stream.write_all(&block[..1])?,
            _ => {}
        }
    }
}

fn send(mut stream: TcpStream) -> Result<f64> {
    let block = vec![1; BLOCK];
    let rate = rate(BLOCK, || Ok(stream.write_all(&block)?));
    stream.shutdown(Shutdown::Write)?;
    // Until the other side has read everything.
    stream.read_to_end(&mut Vec::new())?;
    rate
}

fn ping(mut stream: TcpStream) -> Result<f64> {
    stream.set_nodelay(true)?;
    let mut byte = [1];
    rate(1, || {
        stream.write_all(&byte)?;
        Ok(stream.read_exact(&mut byte)?)
    })
}
