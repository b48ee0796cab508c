//! What is kept: by the log, by snapshots, over damages and power cuts, and between programs.

mod aof_files;
mod damage;
mod durability;
mod power_cuts;
mod propagation;
mod rdb_files;
mod snapshot;
