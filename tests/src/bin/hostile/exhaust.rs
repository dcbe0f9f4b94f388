//! Taking more than its share.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Attack, Attempt, attack, number, word};

pub(crate) const ATTACKS: &[Attack] = &[
    attack("tasks", tasks),
    attack("memory", memory),
    attack("descriptors", descriptors),
    attack("raise-limit", raise_limit),
    attack("lock-memory", lock_memory),
    attack("fill", fill),
    attack("inodes", inodes),
];

/// A fork bomb, of threads: they count as processes do, and take less of the machine.
fn tasks(words: &[String]) -> Attempt {
    let wanted: usize = number(words, 0)?;
    for _ in 0..wanted {
        let task = thread::Builder::new().stack_size(16 << 10);
        task.spawn(|| {
            loop {
                thread::park();
            }
        })?;
    }
    Ok(format!("{wanted} tasks"))
}

/// So many MiB, each page written to.
fn memory(words: &[String]) -> Attempt {
    let wanted: usize = number(words, 0)?;
    let mut taken: Vec<Vec<u8>> = Vec::new();
    for _ in 0..wanted {
        taken.push(std::hint::black_box(vec![1; 1 << 20]));
    }
    Ok(format!("{} MiB", taken.len()))
}

fn descriptors(words: &[String]) -> Attempt {
    let wanted: usize = number(words, 0)?;
    let limit = getrlimit(Resource::Nofile);
    // As any program may.
    let soft_as_hard = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, soft_as_hard)?;
    let mut open = Vec::new();
    for _ in 0..wanted {
        open.push(File::open("/dev/null")?);
    }
    Ok(format!("{} descriptors", open.len()))
}

/// One more than the hard limit.
fn raise_limit(_: &[String]) -> Attempt {
    let limit = getrlimit(Resource::Nofile);
    let more = limit.maximum.map(|maximum| maximum + 1);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: more,
            maximum: more,
        },
    )?;
    Ok(format!("{} descriptors", more.unwrap_or(u64::MAX)))
}

/// So many KiB that are never swapped.
fn lock_memory(words: &[String]) -> Attempt {
    let wanted: usize = number(words, 0)?;
    let memory = vec![1_u8; wanted << 10];
    // SAFETY: the memory is this function's, and locking it changes nothing of it.
    if unsafe { libc::mlock(memory.as_ptr().cast(), memory.len()) } < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(format!("{wanted} KiB"))
}

/// A file of so many MiB in a directory that is kept in memory.
fn fill(words: &[String]) -> Attempt {
    let path = format!("{}/hostile", word(words, 0)?);
    let wanted: usize = number(words, 1)?;
    let mut file = File::create(&path)?;
    let block = vec![1; 1 << 20];
    let written = (0..wanted).try_for_each(|_| file.write_all(&block));
    fs::remove_file(&path)?;
    written?;
    Ok(format!("{wanted} MiB"))
}

/// So many empty files in it.
fn inodes(words: &[String]) -> Attempt {
    let directory = word(words, 0)?;
    let wanted: usize = number(words, 1)?;
    for made in 0..wanted {
        match File::create(format!("{directory}/hostile-{made}")) {
            Err(error) if error.kind() == ErrorKind::StorageFull => return Err(error.into()),
            file => drop(file?),
        }
    }
    Ok(format!("{wanted} files"))
}
