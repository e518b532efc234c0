//! The Rhai engine with every limit set, and the only way to compile and run scripts.
//!
//! Owns limits, deadline, panic boundary and the cache of compiled scripts; must not know rules,
//! steps or the store. Invariant: whatever the source, a call returns within the deadline (plus
//! one bounded native call) and the process is unharmed.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use rhai::module_resolvers::DummyModuleResolver;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{
    AST, Caches, Dynamic, Engine, EvalAltResult, LexError, OptimizationLevel, Scope, Token,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::catalogue::ROOT_NAMES;
use super::context::{Budget, PreparedContext, to_json};
use super::error::{ScriptError, ScriptErrorKind, TOO_LARGE_MARK};
use super::library::{Library, Module, Use, link};
use super::state::{self, Guard, RunState, Stop};
use super::{functions, stepping, vet};

/// Counts a text the way a network does; `None` for an unknown network.
pub type CountFn = Arc<dyn Fn(&str, &str) -> Option<usize> + Send + Sync>;

/// Address space for a script that can repeat: rhai recurses over values it nested, up to the
/// list and map limits together. Pages are only taken when touched.
const DEEP_STACK_BYTES: usize = 256 * 1024 * 1024;

/// Every bound of the sandbox. The defaults are the product's; tests narrow them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptLimits {
    /// Syntax nodes evaluated: far above honest scripts (hundreds), far below a second.
    pub max_operations: u64,
    /// Functions calling functions.
    pub max_call_levels: usize,
    /// Brackets within brackets.
    pub max_expression_depth: usize,
    /// The same inside functions, which stack up.
    pub max_function_expression_depth: usize,
    /// Levels of the whole syntax tree, which also grows by long sums without brackets.
    pub max_tree_depth: usize,
    /// Bytes of all texts in one value; above the largest event, or it could not be copied.
    pub max_string_bytes: usize,
    /// Items of all lists in one value.
    pub max_array_items: usize,
    /// Fields of all objects in one value.
    pub max_map_fields: usize,
    /// Variables a script may hold at once, apart from those given to it.
    pub max_variables: usize,
    /// Functions a script may define.
    pub max_functions: usize,
    /// Source bytes accepted before parsing.
    pub max_source_bytes: usize,
    /// Tokens accepted while parsing.
    pub max_tokens: usize,
    /// Wall-clock time for one evaluation.
    pub deadline: Duration,
    /// Compiled scripts kept.
    pub cache_entries: usize,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        Self {
            max_operations: 200_000,
            max_call_levels: 32,
            max_expression_depth: 32,
            max_function_expression_depth: 24,
            max_tree_depth: 128,
            max_string_bytes: 256 * 1024,
            max_array_items: 10_000,
            max_map_fields: 10_000,
            max_variables: 64,
            max_functions: 32,
            max_source_bytes: 16 * 1024,
            max_tokens: 4_000,
            deadline: Duration::from_millis(250),
            cache_entries: 4_096,
        }
    }
}

/// A script that passed parsing and vetting. Cheap to clone.
#[derive(Clone)]
pub struct CompiledScript {
    ast: Arc<AST>,
    source: Arc<str>,
    hash: [u8; 32],
    captured: Arc<BTreeSet<String>>,
    uses: Arc<[Use]>,
    library: Option<Arc<Library>>,
    flat: bool,
}

impl std::fmt::Debug for CompiledScript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledScript")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl CompiledScript {
    /// The syntax tree, for analysis.
    pub fn ast(&self) -> &Arc<AST> {
        &self.ast
    }

    /// The same script under another's identity, so that chance is drawn alike.
    pub(super) fn known_as(mut self, other: &Self) -> Self {
        self.hash = other.hash;
        self
    }

    /// Whether what it calls of the library depends on more than what it is given.
    pub(super) fn calls_volatile(&self) -> bool {
        let library = self.library.as_ref();
        library.is_some_and(|library| library.is_volatile(&self.uses))
    }

    /// What it names of the library.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// SHA-256 of dialect and source: the identity under which results may be stored.
    pub fn source_hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

/// What a script returned and did.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptOutcome {
    /// The value of the last expression.
    pub value: Value,
    /// Lines of `print` and `debug`, bounded.
    pub printed: Vec<String>,
    /// Operations used.
    pub operations: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    Expression,
    Script,
}

pub(super) struct Inner {
    pub engine: Engine,
    names: Scope<'static>,
    pub limits: ScriptLimits,
    counter: Option<CountFn>,
    cache: Mutex<LruCache<[u8; 32], CompiledScript>>,
    pub modules: Mutex<LruCache<[u8; 32], Arc<Module>>>,
}

/// Compiles and runs scripts. Cheap to clone; one per process is enough.
#[derive(Clone)]
pub struct ScriptEngine(pub(super) Arc<Inner>, pub(super) Option<Arc<Library>>);

impl ScriptEngine {
    /// Builds the sandbox.
    pub fn new(limits: ScriptLimits) -> Self {
        Self::build(limits, None, false)
    }

    /// A sandbox for going through a script: marks are read there, and cost no more than they must.
    pub(super) fn stepping(&self) -> Self {
        let own = &self.0.limits;
        let limits = ScriptLimits {
            // A mark for each statement: a name, a sign and their evaluation.
            max_operations: own.max_operations.saturating_mul(3),
            max_source_bytes: own.max_source_bytes.saturating_mul(8),
            max_tokens: own.max_tokens.saturating_mul(3),
            deadline: own.deadline.saturating_mul(4),
            cache_entries: 1,
            ..own.clone()
        };
        let mut made = Self::build(limits, self.0.counter.clone(), true);
        made.1 = self.1.clone();
        made
    }

    /// Rhai's engine, for what it registers.
    pub(super) fn raw(&self) -> &Engine {
        &self.0.engine
    }

    /// The same sandbox, with a counter for `count_chars(network, text)`.
    pub fn with_counter(
        self,
        counter: impl Fn(&str, &str) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        let mut made = Self::build(self.0.limits.clone(), Some(Arc::new(counter)), false);
        made.1 = self.1;
        made
    }

    fn build(limits: ScriptLimits, counter: Option<CountFn>, has_marks: bool) -> Self {
        let mut names = Scope::new();
        for name in ROOT_NAMES {
            // Unit and not constant: Rhai 1.27 panics at compile time on an assignment into a
            // constant whose value it knows.
            names.push_dynamic(name, Dynamic::UNIT);
        }
        let entries = NonZeroUsize::new(limits.cache_entries).unwrap_or(NonZeroUsize::MIN);
        let inner = Inner {
            engine: build_engine(&limits, has_marks),
            names,
            counter,
            cache: Mutex::new(LruCache::new(entries)),
            modules: Mutex::new(LruCache::new(entries)),
            limits,
        };
        Self(Arc::new(inner), None)
    }

    /// Compiles a condition or template piece: one expression, no loops, no statements.
    pub fn compile_expression(&self, source: &str) -> Result<CompiledScript, ScriptError> {
        self.compile(source, Dialect::Expression)
    }

    /// Compiles a whole script.
    pub fn compile_script(&self, source: &str) -> Result<CompiledScript, ScriptError> {
        self.compile(source, Dialect::Script)
    }

    /// Time one evaluation may take.
    pub(super) fn deadline(&self) -> Duration {
        self.0.limits.deadline
    }

    pub(super) fn check_size(&self, source: &str) -> Result<(), ScriptError> {
        let limit = self.0.limits.max_source_bytes;
        if source.len() <= limit {
            return Ok(());
        }
        Err(ScriptError::new(
            ScriptErrorKind::TooLarge,
            format!(
                "{TOO_LARGE_MARK}{} bytes, at most {limit} are read",
                source.len()
            ),
        ))
    }

    fn compile(&self, source: &str, dialect: Dialect) -> Result<CompiledScript, ScriptError> {
        self.check_size(source)?;
        let hash = source_hash(source, dialect);
        let cached = {
            let mut cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(&hash).cloned()
        };
        if let Some(found) = cached {
            return self.with_uses(found);
        }
        // The tree may be deep until it is vetted, and is dropped on that stack if refused.
        let compiled = on_deep_stack(|| self.parse(source, dialect, hash))??;
        {
            let mut cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.put(hash, compiled.clone());
        }
        self.with_uses(compiled)
    }

    /// What is cached is the same for every library; which one it calls is settled here.
    fn with_uses(&self, mut script: CompiledScript) -> Result<CompiledScript, ScriptError> {
        if !script.uses.is_empty() {
            script.library = Some(self.library_for(&script.uses)?);
        }
        Ok(script)
    }

    /// The syntax tree of a text in which these names are known.
    pub(super) fn tree(
        &self,
        text: &str,
        dialect: Dialect,
        names: &Scope<'static>,
    ) -> Result<AST, ScriptError> {
        let engine = &self.0.engine;
        state::reset_tokens();
        catch_unwind(AssertUnwindSafe(|| match dialect {
            Dialect::Expression => engine.compile_expression_with_scope(names, text),
            Dialect::Script => engine.compile_with_scope(names, text),
        }))
        .map_err(|_| panicked())?
        .map_err(|error| ScriptError::from_parse(&error))
    }

    fn parse(
        &self,
        source: &str,
        dialect: Dialect,
        hash: [u8; 32],
    ) -> Result<CompiledScript, ScriptError> {
        let inner = &*self.0;
        let (ast, vetted) = if source.contains("::") {
            let (first, words) = link::listening(|| self.tree(source, dialect, &inner.names));
            // What is wrong is told of the author's text; what runs has one name for each name of the library.
            first?;
            let linked = words.linked(source, None)?;
            let mut names = inner.names.clone();
            for constant in &linked.constants {
                names.push_dynamic(constant.as_str(), Dynamic::UNIT);
            }
            let ast = link::trusting(|| self.tree(&linked.text, dialect, &names));
            let ast = ast.map_err(|error| linked.told(error))?;
            let vetted = vet::vet(&ast, &inner.limits).map_err(|error| linked.told(error))?;
            (ast, vetted)
        } else {
            let ast = self.tree(source, dialect, &inner.names)?;
            let vetted = vet::vet(&ast, &inner.limits)?;
            (ast, vetted)
        };
        Ok(CompiledScript {
            ast: Arc::new(ast),
            source: source.into(),
            hash,
            captured: Arc::new(vetted.captured),
            uses: vetted.uses.into(),
            library: None,
            flat: vetted.flat,
        })
    }

    /// Evaluates a condition; anything but true or false is an error that says so.
    pub fn eval_bool(
        &self,
        script: &CompiledScript,
        context: &PreparedContext,
    ) -> Result<bool, ScriptError> {
        match self.execute(script, context, 0)?.value {
            Value::Bool(flag) => Ok(flag),
            other => Err(ScriptError::new(
                ScriptErrorKind::TypeMismatch,
                format!(
                    "condition must be true or false, but it is {}",
                    describe(&other)
                ),
            )),
        }
    }

    /// Evaluates to a JSON value.
    pub fn eval_value(
        &self,
        script: &CompiledScript,
        context: &PreparedContext,
    ) -> Result<Value, ScriptError> {
        Ok(self.execute(script, context, 0)?.value)
    }

    /// Runs a script and returns its value, printed lines and cost.
    pub fn run_script(
        &self,
        script: &CompiledScript,
        context: &PreparedContext,
    ) -> Result<ScriptOutcome, ScriptError> {
        self.execute(script, context, 0)
    }

    /// Like [`Self::run_script`]; the salt gives several uses of one source their own randomness.
    pub(super) fn execute(
        &self,
        script: &CompiledScript,
        context: &PreparedContext,
        salt: u64,
    ) -> Result<ScriptOutcome, ScriptError> {
        if script.flat {
            self.execute_here(script, context, salt)
        } else {
            on_deep_stack(|| self.execute_here(script, context, salt))?
        }
    }

    /// On this thread, whose stack must be deep enough.
    pub(super) fn execute_here(
        &self,
        script: &CompiledScript,
        context: &PreparedContext,
        salt: u64,
    ) -> Result<ScriptOutcome, ScriptError> {
        let inner = &*self.0;
        let mut scope = context.take_scope()?;
        let mut run = RunState::new(
            context,
            seed_for(context.seed(), &script.hash, salt),
            inner.limits.deadline,
        );
        run.counter = inner.counter.clone();
        run.captured = Arc::clone(&script.captured);
        run.library.clone_from(&script.library);
        let guard = Guard::install(run);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let value = match &script.library {
                None => inner
                    .engine
                    .eval_ast_with_scope::<Dynamic>(&mut scope, &script.ast),
                Some(library) => inner.evaluate_linked(&mut scope, script, library),
            };
            let value = value.map_err(|error| ScriptError::from_eval(&error))?;
            to_json(&value, 0, &mut Budget::new())
        }));
        let finished = guard.finish();
        // A scope that saw a panic is dropped: its state is unknown.
        let value = match result {
            Ok(result) => {
                context.return_scope(scope);
                result?
            }
            Err(_) => return Err(panicked()),
        };
        // A native function may have ignored that a callback was stopped.
        if let Some(stop) = finished.as_ref().and_then(|run| run.stopped) {
            return Err(ScriptError::stopped(stop));
        }
        Ok(ScriptOutcome {
            value,
            operations: finished.as_ref().map_or(0, |run| run.operations),
            printed: finished.map(|run| run.printed).unwrap_or_default(),
        })
    }
}

impl Inner {
    /// Rhai marks this "deprecated" to say that it is volatile; the version is pinned.
    #[allow(deprecated)]
    fn evaluate_linked(
        &self,
        scope: &mut Scope<'static>,
        script: &CompiledScript,
        library: &Library,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let mut global = self.engine.new_global_runtime_state();
        global.lib.extend(library.stack(&script.uses));
        global.lib.push(Arc::clone(script.ast.shared_lib()));
        let caches = &mut Caches::new();
        let statements = script.ast.statements();
        self.engine
            .eval_statements_raw(&mut global, caches, scope, statements)
    }
}

/// The engine with exactly the packages and limits the sandbox allows.
fn build_engine(limits: &ScriptLimits, has_marks: bool) -> Engine {
    let mut engine = Engine::new_raw();
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    functions::register(&mut engine);

    engine.set_module_resolver(DummyModuleResolver::new());
    // An empty module, so that the parser lets names of the library pass; they are one name when they run.
    engine.register_static_module(link::ROOT, rhai::Module::new().into());
    engine.disable_symbol("eval");
    engine.set_optimization_level(OptimizationLevel::None);
    // A mark is a variable that only the resolver below knows.
    engine.set_strict_variables(!has_marks);
    engine.set_fail_on_invalid_map_property(true);
    // One above our own count, which sees callbacks and must be the first to stop.
    engine.set_max_operations(limits.max_operations.saturating_add(1));
    engine.set_max_call_levels(limits.max_call_levels);
    engine.set_max_expr_depths(
        limits.max_expression_depth,
        limits.max_function_expression_depth,
    );
    engine.set_max_string_size(limits.max_string_bytes);
    engine.set_max_array_size(limits.max_array_items);
    engine.set_max_map_size(limits.max_map_fields);
    engine.set_max_variables(limits.max_variables + ROOT_NAMES.len());
    engine.set_max_functions(limits.max_functions);
    engine.set_max_modules(0);
    let max_operations = limits.max_operations;
    engine.on_progress(move |_| match state::tick(max_operations)? {
        Stop::Deadline => Some(Dynamic::UNIT),
        Stop::Operations => Some(Dynamic::TRUE),
    });
    engine.on_print(|line| {
        state::with(|run| run.print(line));
    });
    engine.on_debug(|line, _, _| {
        state::with(|run| run.print(line));
    });
    hook_parser(&mut engine, limits.max_tokens, has_marks);
    engine
}

/// Rhai marks these hooks "deprecated" to say that they are volatile; the version is pinned.
#[allow(deprecated)]
fn hook_parser(engine: &mut Engine, max_tokens: usize, has_marks: bool) {
    engine.on_parse_token(move |token, at, _| {
        if state::count_token() > max_tokens {
            let text = format!("{TOO_LARGE_MARK}more than {max_tokens} words and signs");
            return Token::LexError(Box::new(LexError::Runtime(text)));
        }
        match token {
            // At the keyword, before the parser stumbles over the names that follow.
            Token::Import | Token::Export => {
                let text = "scripts cannot import or export modules".to_owned();
                Token::LexError(Box::new(LexError::Runtime(text)))
            }
            other => link::hear(unreserve(other), at),
        }
    });
    engine.on_var(move |name, _, mut context| {
        if has_marks
            && let Some(value) = stepping::at_mark(name, context.call_level(), context.scope())
        {
            return Ok(Some(value));
        }
        if let Some(value) = state::library_constant(name) {
            return value.map(Some).map_err(Into::into);
        }
        let in_function = context.call_level() > 0;
        // A function of the library runs with its module as the source.
        let module = context
            .source()
            .and_then(link::module_of)
            .map(str::to_owned);
        state::outer_value(name, in_function, module.as_deref(), context.scope_mut())
            .map_err(Into::into)
    });
}

/// Rhai reserves words that are ordinary field names in events (`new`, `public`, `default`).
fn unreserve(token: Token) -> Token {
    match token {
        Token::Reserved(word) => match word.as_str() {
            "null" | "nil" => Token::Unit,
            "var" | "static" | "goto" | "exit" | "match" | "case" | "public" | "protected"
            | "new" | "use" | "with" | "package" | "super" | "spawn" | "thread" | "go"
            | "async" | "await" | "yield" | "default" | "void" | "module" | "sync" | "is" => {
                Token::Identifier(word)
            }
            _ => Token::Reserved(word),
        },
        other => other,
    }
}

/// Runs on a thread of its own whose stack no permitted value or tree can exhaust.
pub(super) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, ScriptError> {
    std::thread::scope(|scope| {
        let started = std::thread::Builder::new()
            .name("script".to_owned())
            .stack_size(DEEP_STACK_BYTES)
            .spawn_scoped(scope, work);
        match started {
            Ok(handle) => handle.join().map_err(|_| panicked()),
            Err(error) => Err(ScriptError::new(
                ScriptErrorKind::Runtime,
                format!("cannot start a thread for the script: {error}"),
            )),
        }
    })
}

fn panicked() -> ScriptError {
    ScriptError::new(
        ScriptErrorKind::Panicked,
        "script engine failed on this script",
    )
}

fn source_hash(source: &str, dialect: Dialect) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([dialect as u8]);
    hasher.update(source.as_bytes());
    hasher.finalize().into()
}

/// Every source draws its own numbers from the run's seed, so two texts do not choose alike.
fn seed_for(seed: u64, hash: &[u8; 32], salt: u64) -> u64 {
    let mut first = [0_u8; 8];
    first.copy_from_slice(&hash[..8]);
    state::mix(seed ^ u64::from_le_bytes(first) ^ state::mix(salt))
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "missing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl std::fmt::Debug for ScriptEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScriptEngine")
    }
}
