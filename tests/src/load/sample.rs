//! One measurement of a command on a running server: throughput, and CPU as the kernel counts it.

use std::time::{Duration, Instant};

use super::Load;
use super::commands::Command;
use crate::process::{self, CpuTime};
use crate::server::Server;

#[derive(Debug, Clone, Copy)]
pub struct Sample {
    requests: usize,
    wall: Duration,
    cpu: CpuTime,
}

impl Sample {
    /// Sets the command's scene in an empty keyspace, then sends `requests` requests at `depth`.
    pub fn take(server: &Server, command: &Command, depth: usize, requests: usize) -> Self {
        let warming = requests / 20;
        let mut client = server.client();
        client.run("FLUSHALL");
        let scene = (command.scene_len)(requests + warming + slack(depth));
        client.pipeline(0..scene, command.scene).unwrap_or_else(|why| panic!("{why}"));
        let mut load = Load::prepare(server.address(), command, depth).expect("connections");
        // Buffers and branch predictors warm up outside the measurement.
        load.run(warming).expect("right replies");
        let before = process::cpu_time(server.pid());
        let start = Instant::now();
        let requests = load.run(requests).expect("right replies");
        let wall = start.elapsed();
        let after = process::cpu_time(server.pid());
        let cpu = CpuTime { user: after.user - before.user, system: after.system - before.system };
        Self { requests, wall, cpu }
    }

    pub fn user_ns(&self) -> f64 {
        self.cpu.user.as_nanos() as f64 / self.requests as f64
    }

    pub fn cpu_ns(&self) -> f64 {
        (self.cpu.user + self.cpu.system).as_nanos() as f64 / self.requests as f64
    }

    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }

    /// How busy the server was, in cores: near the number it has, it was the limit and not the client.
    pub fn busy(&self) -> f64 {
        (self.cpu.user + self.cpu.system).as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// The most that two runs send beyond what they are asked for: whole rounds of batches.
fn slack(depth: usize) -> usize {
    2 * super::CONNECTIONS * depth
}

/// The middle one of what `of` says about the samples.
pub fn median(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The geometric mean; 1 of nothing.
pub fn geometric_mean(ratios: &[f64]) -> f64 {
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (sum / ratios.len().max(1) as f64).exp()
}
