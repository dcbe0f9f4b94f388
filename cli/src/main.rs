//! `coop`.
#![allow(unused_imports, dead_code)]
mod args;
mod stack;

use clap::Parser;

fn main() {
    println!("{:#?}", args::Cli::parse());
}
