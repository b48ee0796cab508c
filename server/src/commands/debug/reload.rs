//! DEBUG RELOAD and LOADAOF: the data written to its file, forgotten and read back, while everybody
//! waits.

use crate::engine::{Args, Call, LoadMode, Loaded};
use crate::error::{self, Result};

/// `RELOAD [MERGE] [NOFLUSH] [NOSAVE]`
pub(super) fn reload(call: &mut Call<'_>, mut args: Args<'_>) -> Result {
    let (mut merge, mut flush, mut save) = (false, true, true);
    while !args.is_empty() {
        if args.keyword("merge") {
            merge = true;
        } else if args.keyword("noflush") {
            flush = false;
        } else if args.keyword("nosave") {
            save = false;
        } else {
            return Err(error::RELOAD_OPTIONS);
        }
    }
    let (engine, now) = (&mut *call.engine, call.now);
    if save {
        engine.save_now(now).map_err(|_| error::FAILED)?;
    }
    let mode = LoadMode { replaces: merge, keeps_due: false, empties: flush };
    let reload = engine.host.reload_rdb(engine.config.settings(), mode);
    let reload = reload.map_err(|reason| failed(&reason, error::RELOAD_FAILED))?;
    engine.persistence.loaded = Loaded::default();
    reload(engine).map_err(|reason| failed(&reason, error::RELOAD_FAILED))?;
    let dirty = engine.stats.dirty;
    engine.persistence.is_saved(dirty);
    crate::log::notice!("DB reloaded by DEBUG RELOAD");
    call.reply.ok();
    Ok(())
}

/// `LOADAOF`
pub(super) fn load_log(call: &mut Call<'_>) -> Result {
    let (engine, now) = (&mut *call.engine, call.now);
    engine.hand_over_journal();
    let reload = engine.host.reload_log(engine.config.settings());
    let reload = reload.map_err(|reason| failed(&reason, error::LOADAOF_FAILED))?;
    engine.forget_everything();
    engine.begin_replay(now);
    let result = reload(engine);
    engine.end_replay();
    result.map_err(|reason| failed(&reason, error::LOADAOF_FAILED))?;
    engine.journal.forget_db();
    crate::log::notice!("Append Only File loaded by DEBUG LOADAOF");
    call.reply.ok();
    Ok(())
}

fn failed(reason: &str, answer: error::Error) -> error::Error {
    crate::log::warning!("{reason}");
    answer
}
