//! Unpacks an archive into a new store and shows what came of it.
//!
//!     cargo run -p coop-image --example import -- ARCHIVE DIR [NAME[:TAG]]

use std::path::Path;

use coop_image::{ImportOptions, Progress, Reference, Store};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (archive, dir, name) = match args.as_slice() {
        [archive, dir] => (archive, dir, "imported"),
        [archive, dir, name] => (archive, dir, name.as_str()),
        _ => anyhow::bail!("usage: import ARCHIVE|DIRECTORY STORE [NAME[:TAG]]"),
    };
    let reference: Reference = name.parse()?;
    let store = Store::open(dir);
    let image = store.import(
        &reference,
        Path::new(archive),
        &ImportOptions::default(),
        &mut |event| match event {
            Progress::Waiting => eprintln!("waiting for another import of {reference}"),
            Progress::Skipped { entry, why } => eprintln!("left out {entry}: {why}"),
            _ => {}
        },
    )?;
    println!("name    {}", image.reference);
    println!("id      {}", image.id);
    println!("size    {} bytes", image.size);
    println!("created {} seconds after the epoch", image.created);
    for layer in &image.layers {
        println!("layer   {}", layer.display());
    }
    println!("config  {:?}", image.config);
    Ok(())
}
