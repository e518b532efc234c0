//! Property chains such as `event.data["post"].likes`, flattened.
//!
//! Owns how Rhai's tree spells a chain. Must not know what the properties are. Invariant: each chain is
//! looked at once, at its outermost link.

use rhai::{ASTFlags, ASTNode, Expr, FnCallExpr, Position};

use crate::script::catalogue::ROOT_NAMES;

/// One link of `a.b["c"][0].d()`.
pub(super) enum Step<'a> {
    Name(&'a str, Position),
    Item,
    Method(&'a FnCallExpr),
}

impl<'a> Step<'a> {
    pub fn name(&self) -> Option<&'a str> {
        match self {
            Step::Name(name, _) => Some(name),
            Step::Item | Step::Method(_) => None,
        }
    }
}

/// A flattened property chain; the root is set when it is one of the given variables.
pub(super) struct Chain<'a> {
    pub root: Option<&'a str>,
    pub steps: Vec<Step<'a>>,
}

impl<'a> Chain<'a> {
    pub fn of(expression: &'a Expr) -> Self {
        let mut chain = Chain {
            root: None,
            steps: Vec::new(),
        };
        let (Expr::Dot(parts, ..) | Expr::Index(parts, ..)) = expression else {
            return chain;
        };
        if let Expr::Variable(variable, ..) = &parts.lhs {
            chain.root = ROOT_NAMES
                .into_iter()
                .find(|name| *name == variable.1.as_str());
        }
        let mut current = expression;
        while let Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) = current {
            let indexed = matches!(current, Expr::Index(..));
            let continues = !(indexed && flags.contains(ASTFlags::BREAK));
            match &parts.rhs {
                next @ (Expr::Dot(inner, ..) | Expr::Index(inner, ..)) if continues => {
                    chain.link(&inner.lhs, indexed);
                    current = next;
                }
                last => {
                    chain.link(last, indexed);
                    break;
                }
            }
        }
        chain
    }

    fn link(&mut self, link: &'a Expr, indexed: bool) {
        self.steps.push(match link {
            Expr::Property(parts, at) => Step::Name(&parts.2, *at),
            Expr::StringConstant(key, at) if indexed => Step::Name(key, *at),
            Expr::MethodCall(call, _) => Step::Method(call),
            _ => Step::Item,
        });
    }
}

/// True for the right side of a chain, which its outermost link already covers.
pub(super) fn is_continuation(path: &[ASTNode]) -> bool {
    let [.., ASTNode::Expr(parent), ASTNode::Expr(own)] = path else {
        return false;
    };
    match parent {
        Expr::Dot(parts, ..) => std::ptr::eq(&raw const parts.rhs, *own),
        Expr::Index(parts, flags, _) => {
            !flags.contains(ASTFlags::BREAK) && std::ptr::eq(&raw const parts.rhs, *own)
        }
        _ => false,
    }
}

pub(super) fn is_chain_head(path: &[ASTNode]) -> bool {
    matches!(path, [.., ASTNode::Expr(Expr::Dot(parts, ..) | Expr::Index(parts, ..)), ASTNode::Expr(own)]
        if std::ptr::eq(&raw const parts.lhs, *own))
}
