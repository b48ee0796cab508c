//! `cargo image`: the command line of the image tool.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use holdfast_image::appliance::Owner;
use holdfast_image::kernel::{Choice, own};
use holdfast_image::{appliance, buildroot, disk, oci, run, static_binaries, status, uki, update};

/// Builds Holdfast's images and boots the appliance.
///
/// Each command does its own set-up: missing Debian packages are installed when you are root;
/// otherwise the line to type is printed. What is dear to make is kept in ~/.cache/holdfast
/// (or where HOLDFAST_CACHE_DIR points).
#[derive(Parser)]
#[command(bin_name = "cargo image", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot the appliance in QEMU and serve Redis on 127.0.0.1
    ///
    /// Builds what is missing, starts QEMU (with KVM where it truly works), shows the console and
    /// prints "ready" once the server answers PING. From then on what is typed goes to the machine's
    /// console: try `holdfast help`. Ctrl-C stops it; nothing stays behind.
    Run {
        /// Memory of the machine in MiB [default: 128, with --uefi 256]
        #[arg(long, value_name = "MIB", value_parser = memory)]
        memory: Option<u32>,
        /// Port of 127.0.0.1 that reaches the server
        #[arg(long, default_value = "6379", value_parser = port)]
        port: u16,
        /// Boot the disk image through UEFI firmware instead of handing the kernel to QEMU
        #[arg(long)]
        uefi: bool,
        /// "own", "debian" or a bzImage [default: own if it is built, else debian]
        #[arg(long, value_name = "FILE")]
        kernel: Option<Choice>,
        /// A holdfast.toml in place of the shipped one
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Ask the running appliance's agent how its services are
    Status {
        /// For programs
        #[arg(long)]
        json: bool,
        /// The port that `run` was given
        #[arg(long, default_value = "6379", value_parser = port)]
        port: u16,
    },
    /// Build our own kernel (about 10 minutes, then cached)
    Kernel,
    /// Write the bootable UEFI disk
    ///
    /// GPT with two slots, EFI system partitions which hold the whole system as one file each, and a
    /// data partition, which the first boot formats. The same sources give the same bytes.
    Disk {
        /// The file to write
        out: PathBuf,
        /// Size of the data partition in MiB
        #[arg(long, value_name = "MIB", default_value_t = disk::DATA_MIB)]
        data: u64,
        #[command(flatten)]
        system: System,
    },
    /// Write an update for appliances made by `disk`
    ///
    /// The whole system as one file for `holdfast update`, which writes it to the slot that does not
    /// run, tries it once, and goes back by itself unless it does well. The same sources give the
    /// same bytes.
    Update {
        /// The file to write
        out: PathBuf,
        #[command(flatten)]
        system: System,
    },
    /// Write the appliance's files into a directory, for Buildroot to pack
    Rootfs {
        /// An empty directory
        dir: PathBuf,
    },
    /// Check buildroot/: what it names exists, and the kernel keeps our configuration
    CheckBuildroot {
        /// A Buildroot tree, to have its own make read our defconfigs as well
        #[arg(long, value_name = "DIR")]
        tree: Option<PathBuf>,
    },
    /// Write the container image, for docker load, podman load and skopeo
    Oci {
        /// The tar to write
        out: PathBuf,
    },
}

/// What goes into an EFI file.
#[derive(clap::Args)]
struct System {
    /// "own", "debian" or a bzImage
    #[arg(long, value_name = "FILE", default_value = "own")]
    kernel: Choice,
    /// A word for the kernel's command line, such as ip=ADDRESS::GATEWAY:MASK::eth0:off
    #[arg(long, value_name = "WORD")]
    append: Vec<String>,
    /// A holdfast.toml in place of the shipped one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl System {
    fn uki(&self) -> Result<Vec<u8>> {
        let words: Vec<&str> = self.append.iter().map(String::as_str).collect();
        let binaries = static_binaries()?;
        let owner = Owner::with_config(self.config.as_deref(), &binaries)?;
        appliance::uki(&self.kernel.get()?, &binaries, &owner, &words)
    }
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Run { memory, port, uefi, kernel, config } => {
            let kernel = kernel.unwrap_or(Choice::Quickest);
            // Firmware unpacks the kernel while everything is in memory twice.
            let memory_mib = memory.unwrap_or(if uefi { 256 } else { 128 });
            run::run(&run::Options { memory_mib, port, uefi, kernel, config })
        }
        Command::Status { json, port } => {
            let request = if json { "status json" } else { "status" };
            let reply = status::ask(status::Note::find(port)?, request)?;
            println!("{}", reply.trim_end());
            Ok(())
        }
        Command::Kernel => {
            let kernel = own::build()?;
            println!("{}", kernel.image.display());
            Ok(())
        }
        Command::Disk { out, data, system } => {
            let uki = system.uki()?;
            disk::write(&out, &uki, data)?;
            println!(
                "{}: EFI file of {} bytes (limit for ours {})",
                out.display(),
                uki.len(),
                uki::LIMIT
            );
            Ok(())
        }
        Command::Update { out, system } => {
            let written = update::write(&out, &system.uki()?)?;
            println!("{}: {} bytes, for {}", out.display(), written.bytes, update::BOARD);
            println!("id {}", written.id);
            Ok(())
        }
        Command::Rootfs { dir } => appliance::files(&[], &static_binaries()?)?.lay_out(&dir),
        Command::CheckBuildroot { tree } => {
            buildroot::check()?;
            if let Some(tree) = tree {
                buildroot::check_with(&tree)?;
            }
            println!("buildroot/ is sound");
            Ok(())
        }
        Command::Oci { out } => {
            oci::write(&out, &static_binaries()?)?;
            println!("{}: {}", out.display(), oci::NAME);
            Ok(())
        }
    }
}

fn port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|p| *p != 0);
    port.ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

fn memory(text: &str) -> Result<u32, String> {
    let mib = text.parse::<u32>().ok().filter(|m| (64..=1 << 20).contains(m));
    mib.ok_or_else(|| "a number of MiB from 64 to 1048576, without a unit".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the user reads when `words` are wrong.
    fn complaint(words: &[&str]) -> String {
        let all = ["cargo image"].iter().chain(words);
        match Arguments::try_parse_from(all) {
            Ok(_) => panic!("{words:?} were accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn ports_and_memory_out_of_range_are_explained() {
        for port in ["0", "65536", "-1", "redis", ""] {
            let text = complaint(&["run", &format!("--port={port}")]);
            assert!(text.contains("1 to 65535"), "{text}");
        }
        for memory in ["63", "1048577", "1G"] {
            assert!(complaint(&["run", "--memory", memory]).contains("from 64 to 1048576"));
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
