//! The container image: one tar that is an OCI layout and a docker archive at the same time, both
//! pointing at the same blobs, so `docker load`, `podman load` and `skopeo` all take it.
//!
//! ```text
//!  oci-layout, index.json ──▶ manifest ──▶ config, layer      (OCI image layout 1.0)
//!  manifest.json ────────────────────────▶ config, layer      (docker save)
//! ```

use std::path::Path;

use anyhow::{Context, Result};
use libdeflater::{CompressionLvl, Compressor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use crate::binaries::Binaries;
use crate::paths;
use crate::rootfs::{Entry, Kind, REDIS, Tree};

/// What `docker run` calls it.
pub const NAME: &str = concat!("holdfast:", env!("CARGO_PKG_VERSION"));

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SECOND_NS: u64 = 1_000_000_000;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Writes the archive with `binaries` in it to `out`, whole or not at all.
pub fn write(out: &Path, binaries: &Binaries) -> Result<()> {
    let archive =
        archive(&Tree::container(binaries)?).context("cannot make the container image")?;
    paths::write_atomically(out, &archive)
}

/// Some bytes and the name they have by their content.
struct Blob {
    bytes: Vec<u8>,
    digest: String,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: sha256(&bytes), bytes }
    }

    fn json(value: &Value) -> Self {
        Self::new(value.to_string().into_bytes())
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({
            "mediaType": media_type,
            "digest": format!("sha256:{}", self.digest),
            "size": self.bytes.len(),
        })
    }
}

fn archive(tree: &Tree) -> Result<Vec<u8>> {
    let plain = layer(tree)?;
    let config = Blob::json(&config(&sha256(&plain)));
    let layer = Blob::new(gzip(&plain)?);
    let manifest = Blob::json(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(CONFIG),
        "layers": [layer.descriptor(LAYER)],
    }));
    let mut index_entry = manifest.descriptor(MANIFEST);
    index_entry["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    index_entry["annotations"] = json!({
        "org.opencontainers.image.ref.name": VERSION,
        "io.containerd.image.name": format!("docker.io/library/{NAME}"),
    });
    let index = json!({ "schemaVersion": 2, "manifests": [index_entry] });
    let docker = json!([{
        "Config": config.path(),
        "RepoTags": [NAME],
        "Layers": [layer.path()],
    }]);

    let mut out = tar::Builder::new(Vec::new());
    put(&mut out, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    put(&mut out, "index.json", index.to_string().as_bytes())?;
    put(&mut out, "manifest.json", docker.to_string().as_bytes())?;
    for blob in [&config, &layer, &manifest] {
        put(&mut out, &blob.path(), &blob.bytes)?;
    }
    Ok(out.into_inner()?)
}

/// The image configuration. `Healthcheck` is docker's addition to OCI's format.
fn config(diff_id: &str) -> Value {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "User": format!("{REDIS}:{REDIS}"),
            "ExposedPorts": { "6379/tcp": {} },
            "Env": ["PATH=/usr/local/bin:/usr/bin"],
            "Entrypoint": ["/usr/bin/holdfast-init"],
            "Cmd": ["redis-server"],
            "Volumes": { "/data": {} },
            "WorkingDir": "/data",
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": "Holdfast",
                "org.opencontainers.image.description":
                    "Redis-compatible server under its own supervisor",
                "org.opencontainers.image.version": VERSION,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/holdfast-agent", "healthcheck"],
                "Interval": 10 * SECOND_NS,
                "Timeout": 3 * SECOND_NS,
                "StartPeriod": 5 * SECOND_NS,
                "Retries": 3,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        "history": [{
            "created": "1970-01-01T00:00:00Z",
            "created_by": "cargo image oci",
        }],
    })
}

fn layer(tree: &Tree) -> Result<Vec<u8>> {
    let mut out = tar::Builder::new(Vec::new());
    for (path, entry) in tree.iter() {
        add(&mut out, path, entry).with_context(|| format!("cannot add {path}"))?;
    }
    Ok(out.into_inner()?)
}

fn add(out: &mut tar::Builder<Vec<u8>>, path: &str, entry: &Entry) -> Result<()> {
    let mut header = header(entry.mode, entry.owner);
    match &entry.kind {
        Kind::Dir => {
            header.set_entry_type(EntryType::Directory);
            out.append_data(&mut header, format!("{path}/"), std::io::empty())?;
        }
        Kind::File(bytes) => {
            header.set_size(bytes.len() as u64);
            out.append_data(&mut header, path, bytes.as_slice())?;
        }
        Kind::Link(to) => {
            header.set_entry_type(EntryType::Symlink);
            out.append_link(&mut header, path, to)?;
        }
        Kind::Device(major, minor) => {
            header.set_entry_type(EntryType::Char);
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            out.append_data(&mut header, path, std::io::empty())?;
        }
    }
    Ok(())
}

fn put(out: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]) -> Result<()> {
    let mut header = header(0o644, 0);
    header.set_size(bytes.len() as u64);
    out.append_data(&mut header, path, bytes)?;
    Ok(())
}

/// Every field is set by us; time stays 1970.
fn header(mode: u32, owner: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(owner.into());
    header.set_gid(owner.into());
    header.set_mtime(0);
    header.set_size(0);
    header
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // Its header has no name, no time and no operating system.
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let len = compressor.gzip_compress(bytes, &mut out).context("the layer has no room")?;
    out.truncate(len);
    Ok(out)
}

/// In hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
