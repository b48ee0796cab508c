//! `FIELDS numfields field …`: how commands about field expiry are told their fields.

use crate::engine::Args;
use crate::error::{self, Error, Result};

pub(super) struct Fields;

impl Fields {
    /// The fields where `FIELDS` comes next, and nothing behind them. Each is `width` arguments;
    /// `wrong_count` says what is wrong where the number does not fit.
    pub(super) fn parse(mut args: Args<'_>, width: usize, wrong_count: Error) -> Result<Args<'_>> {
        if !args.keyword("fields") {
            return Err(error::SYNTAX);
        }
        Self::counted(args, width, wrong_count)
    }

    /// Splits the arguments at the first `FIELDS`: what stands before it, and the fields. Without
    /// one there are no fields, which is the wrong count, whatever stands there.
    pub(super) fn behind_options<'a, T>(
        args: Args<'a>,
        width: usize,
        parse: impl FnOnce(Args<'a>) -> Result<T>,
    ) -> Result<(T, Args<'a>)> {
        let before = args.take_while(|arg| !arg.eq_ignore_ascii_case(b"fields")).count();
        let mut rest = args;
        let options = rest.split_off(before)?;
        // The word as the last argument is not looked at.
        if rest.left() < 2 {
            return Err(error::NUMFIELDS);
        }
        let options = parse(options)?;
        rest.required()?;
        Ok((options, Self::counted(rest, width, error::NUMFIELDS)?))
    }

    fn counted(mut args: Args<'_>, width: usize, wrong_count: Error) -> Result<Args<'_>> {
        let count = args.int()?;
        let given = usize::try_from(count).ok().and_then(|count| count.checked_mul(width));
        let fits = count > 0 && given == Some(args.left());
        fits.then_some(args).ok_or(wrong_count)
    }
}
