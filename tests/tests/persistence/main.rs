//! What is kept: by the log, by snapshots, over damages and power cuts, and between programs. One
//! program, so that what waits for a disk runs beside what waits for a compiler.

mod aof_files;
mod damage;
mod durability;
mod power_cuts;
mod propagation;
mod rdb_files;
mod snapshot;
