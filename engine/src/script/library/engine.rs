//! The sandbox with a library, and what it does for modules.
//!
//! Invariant: an engine with a library compiles and runs everything else as the one without.

use std::sync::{Arc, PoisonError};

use rhai::{AST, Dynamic, Scope};
use sha2::{Digest, Sha256};

use super::module::{Module, Parser, compile};
use super::{Library, Use};
use crate::script::context::{EvalContext, PreparedContext};
use crate::script::error::{ScriptError, ScriptErrorKind};
use crate::script::sandbox::{Dialect, ScriptEngine, on_deep_stack};
use crate::script::state::{Guard, RunState};
use crate::script::vet::{self, Vetted};

impl ScriptEngine {
    /// The same sandbox, where scripts may call this library.
    pub fn with_library(&self, library: Arc<Library>) -> Self {
        Self(Arc::clone(&self.0), Some(library))
    }

    /// The library that scripts may call.
    pub fn library(&self) -> Option<&Arc<Library>> {
        self.1.as_ref()
    }

    /// The library, if everything that is named is in it.
    pub(in crate::script) fn library_for(&self, uses: &[Use]) -> Result<Arc<Library>, ScriptError> {
        let library = self.1.clone().unwrap_or_default();
        library.check(uses)?;
        Ok(library)
    }

    /// Compiles a module of a library, apart from what it needs of others.
    pub(in crate::script) fn compile_module(
        &self,
        name: &str,
        source: &str,
    ) -> Result<Arc<Module>, ScriptError> {
        self.check_size(source)?;
        let mut hasher = Sha256::new();
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update(source.as_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        let cached = {
            let mut cache = self
                .0
                .modules
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            cache.get(&hash).cloned()
        };
        if let Some(found) = cached {
            return Ok(found);
        }
        let made = on_deep_stack(|| compile(self, name, source))??;
        let made = Arc::new(made);
        let mut cache = self
            .0
            .modules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.put(hash, Arc::clone(&made));
        Ok(made)
    }
}

impl Parser for ScriptEngine {
    fn parse(&self, text: &str, names: &Scope<'static>) -> Result<AST, ScriptError> {
        self.tree(text, Dialect::Script, names)
    }

    fn vet(&self, ast: &AST) -> Result<Vetted, ScriptError> {
        vet::vet(ast, &self.0.limits)
    }

    fn variables(&self, ast: &AST) -> Result<Vec<(String, Dynamic)>, ScriptError> {
        let context = PreparedContext::new(&EvalContext::default());
        let guard = Guard::install(RunState::new(&context, 0, self.0.limits.deadline));
        let mut scope = Scope::new();
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.0.engine.run_ast_with_scope(&mut scope, ast)
        }));
        guard.finish();
        match run {
            Ok(Ok(())) => {
                let found = scope.iter();
                Ok(found
                    .map(|(name, _, value)| (name.to_owned(), value))
                    .collect())
            }
            Ok(Err(error)) => Err(ScriptError::from_eval(&error)),
            Err(_) => Err(ScriptError::new(
                ScriptErrorKind::Panicked,
                "script engine failed on the constants of a module",
            )),
        }
    }
}
