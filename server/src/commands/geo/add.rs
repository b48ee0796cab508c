//! GEOADD.

use super::{GEO, parse_point};
use crate::commands::sorted_set::add::{Options, add};
use crate::commands::spec::{Access, Command, Flags, KeySpec};
use crate::engine::Call;
use crate::error::{self, Result};

pub(super) const GEOADD: Command = Command {
    name: "geoadd",
    syntax: "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
    summary: "Adds one or more members to a geospatial index. The key is created if it doesn't exist.",
    complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    since: "3.2.0",
    flags: Flags::WRITE.union(Flags::DENYOOM),
    keys: &[KeySpec::one(1, Access::ReadWrite, &["update"])],
    handler: Some(geoadd),
    history: &[("6.2.0", "Added the `CH`, `NX` and `XX` options.")],
    ..GEO
};

fn geoadd(call: &mut Call<'_>) -> Result {
    let mut args = call.args();
    let key = args.required()?;
    let options = Options::of_geoadd(&mut args)?;
    if args.is_empty() || !args.left().is_multiple_of(3) {
        return Err(error::SYNTAX);
    }
    let mut pairs = Vec::with_capacity(args.left() / 3);
    while !args.is_empty() {
        let point = parse_point(&mut args)?;
        pairs.push((point.score(), args.required()?));
    }
    let longest = pairs.iter().map(|(_, member)| member.len()).max().unwrap_or(0);
    add(call, key, options, (pairs.len(), longest), pairs.into_iter())
}
