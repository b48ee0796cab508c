//! A list in the parts that it is made of, for whoever saves and loads it.

use super::node::Node;
use super::quicklist::Quicklist;
use super::squeezed::Squeezed;
use super::{End, Form, Limits, List};
use crate::types::listpack::Listpack;
use crate::types::parts::{self, Ticket};
use crate::types::string::Digits;

/// A part where it lies.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    Packed(&'a Listpack),
    /// An element that is too big for any listpack.
    Plain(&'a [u8]),
    /// Either of them.
    Squeezed(&'a Squeezed),
}

/// A part that was saved.
#[derive(Clone, Debug)]
pub enum Saved {
    Packed(Listpack),
    Plain(Box<[u8]>),
}

impl List {
    pub fn part_count(&self) -> usize {
        match &self.form {
            Form::Small(_) => 1,
            Form::Large(quicklist) => quicklist.node_count(),
        }
    }

    /// Shows each part in order.
    pub fn each_part(&self, mut visit: impl FnMut(Part<'_>)) {
        match &self.form {
            Form::Small(listpack) => visit(Part::Packed(listpack)),
            Form::Large(quicklist) => quicklist.each_node().for_each(|node| visit(node.part())),
        }
    }

    /// Whether it is to be saved in parts.
    pub(in crate::types) fn has_parts(&self) -> bool {
        matches!(&self.form, Form::Large(quicklist) if quicklist.has_parts())
    }

    pub(in crate::types) fn begin_save(&mut self, ticket: Ticket) {
        if let Form::Large(quicklist) = &mut self.form {
            quicklist.begin_save(ticket);
        }
    }

    pub(in crate::types) fn end_save(&mut self) {
        if let Form::Large(quicklist) = &mut self.form {
            quicklist.end_save();
        }
    }

    pub(in crate::types) fn ticket(&self) -> Option<Ticket> {
        match &self.form {
            Form::Small(_) => None,
            Form::Large(quicklist) => quicklist.ticket(),
        }
    }

    /// Shows parts that are not saved yet, with about `most` elements. Whether there may be others.
    pub(in crate::types) fn save_part(
        &mut self,
        most: usize,
        visit: &mut dyn FnMut(parts::Part<'_>),
    ) -> bool {
        let Form::Large(quicklist) = &mut self.form else { return false };
        quicklist.save_part(most, |node| visit(parts::Part::Node(node.part())))
    }

    /// The list that was saved in `parts`, which stay as they are where the limits allow it.
    pub fn of_parts(parts: Vec<Saved>, limits: Limits) -> Self {
        let mut parts = parts;
        if let [Saved::Packed(only)] = &mut *parts
            && !limits.exceeded_by(only.len_bytes(), only.len())
        {
            return Self { form: Form::Small(std::mem::take(only)) };
        }
        let mut quicklist = Quicklist::of(Listpack::new(), limits);
        for part in parts {
            match part {
                Saved::Plain(element) => quicklist.append(Node::Plain(Box::new(element))),
                Saved::Packed(listpack)
                    if limits.exceeded_by(listpack.len_bytes(), listpack.len()) =>
                {
                    push_each(&mut quicklist, &listpack);
                }
                Saved::Packed(listpack) if !listpack.is_empty() => {
                    quicklist.append(Node::packed(listpack));
                }
                Saved::Packed(_) => {}
            }
        }
        let mut list = Self { form: Form::Large(Box::new(quicklist)) };
        list.shrink(limits);
        list
    }
}

/// A listpack that is too big as a whole: from a server with other limits.
fn push_each(quicklist: &mut Quicklist, listpack: &Listpack) {
    let mut digits = Digits::new();
    listpack.iter().for_each(|item| quicklist.push(End::Tail, item.write_to(&mut digits)));
}
