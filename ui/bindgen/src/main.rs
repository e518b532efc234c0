//! Turns the compiled module into a page: bindings, content-hashed names, index.html, brotli neighbours.
//!
//! `so-ui-bindgen <module.wasm> <ui folder> <dist folder> [--compress]`. Owns the layout of the dist folder. Never
//! compiles anything. Invariant: a file under `assets/` with a hash in its name never changes its content, so the server
//! may let browsers keep it for ever.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Concatenated in this order into one sheet: later files may lean on the earlier.
const STYLES: &[&str] = &[
    "tokens.css",
    "base.css",
    "frame.css",
    "components.css",
    "parts.css",
    "pages.css",
    "rooms.css",
];
/// Brotli's best; the page is compressed once and served many times.
const BROTLI_QUALITY: u32 = 11;
/// The largest window brotli allows without its large-window extension.
const BROTLI_WINDOW: u32 = 22;
/// The module is most of the page: the server unpacks it for the few readers that take no brotli.
const PACKED_ALONE: &str = "wasm";
/// Formats that are compressed already.
const COMPRESSED: &[&str] = &["woff2", "png", "br"];

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [wasm, ui, dist, rest @ ..] = args.as_slice() else {
        bail!("usage: so-ui-bindgen <module.wasm> <ui folder> <dist folder> [--compress]");
    };
    let (ui, dist) = (Path::new(ui), Path::new(dist));
    // A stale file would be embedded for ever, so the folder starts empty.
    if dist.exists() {
        fs::remove_dir_all(dist).context("could not empty the dist folder")?;
    }
    fs::create_dir_all(dist.join("assets"))?;

    let mut names = BTreeMap::new();
    copy_assets(ui, dist, &mut names)?;
    write_styles(ui, dist, &mut names)?;
    write_module(Path::new(wasm), dist, &mut names)?;
    write_index(ui, dist, &names)?;
    if rest.iter().any(|arg| arg == "--compress") {
        compress(dist)?;
    }
    Ok(())
}

/// Puts `content` under `assets/` with its hash in the name and remembers the plain name.
fn put(
    dist: &Path,
    plain: &str,
    content: &[u8],
    names: &mut BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    let (stem, extension) = plain
        .rsplit_once('.')
        .with_context(|| format!("{plain} has no extension"))?;
    let hashed = format!("{stem}-{:08x}.{extension}", hasher.finish() >> 32);
    fs::write(dist.join("assets").join(&hashed), content)
        .with_context(|| format!("could not write {hashed}"))?;
    names.insert(plain.to_owned(), hashed);
    Ok(())
}

/// Fonts, the favicon and the script that sets the theme before the first paint. Icons are inside the module.
fn copy_assets(ui: &Path, dist: &Path, names: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["assets", "assets/fonts"] {
        for entry in
            fs::read_dir(ui.join(folder)).with_context(|| format!("could not list {folder}"))?
        {
            files.push(entry?.path());
        }
    }
    files.sort();
    for file in files.iter().filter(|file| {
        file.extension()
            .is_some_and(|e| e == "woff2" || e == "svg" || e == "js")
    }) {
        let name = file
            .file_name()
            .context("a file without a name")?
            .to_string_lossy();
        put(dist, &name, &fs::read(file)?, names)?;
    }
    Ok(())
}

fn write_styles(
    ui: &Path,
    dist: &Path,
    names: &mut BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let mut sheet = String::new();
    for style in STYLES {
        sheet.push_str(
            &fs::read_to_string(ui.join("styles").join(style))
                .with_context(|| format!("could not read {style}"))?,
        );
    }
    put(
        dist,
        "app.css",
        fill(&minify(&sheet), names)?.as_bytes(),
        names,
    )
}

/// Drops comments and indentation; brotli does the rest.
fn minify(sheet: &str) -> String {
    let mut plain = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some((before, after)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn write_module(
    wasm: &Path,
    dist: &Path,
    names: &mut BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let mut output = wasm_bindgen_cli_support::Bindgen::new()
        .input_path(wasm)
        .out_name("so-ui")
        .web(true)
        .and_then(|bindgen| {
            bindgen
                .typescript(false)
                .remove_name_section(true)
                .remove_producers_section(true)
                .generate_output()
        })
        .map_err(|error| anyhow::anyhow!("could not make bindings: {error:#}"))?;
    // Crates may declare snippets that nothing calls; only an imported one would be missing.
    if output.js().contains("./snippets/") {
        bail!(
            "a dependency imports JavaScript snippets, which the dist folder has no place for: {:?}",
            output.snippets().keys()
        );
    }
    put(dist, "so-ui.wasm", &output.wasm_mut().emit_wasm(), names)?;
    // The start call is part of the file: the content security policy allows no inline script to make it.
    let script = format!(
        "{}\n__wbg_init({{ module_or_path: new URL('{}', import.meta.url) }});\n",
        output.js(),
        names["so-ui.wasm"]
    );
    put(dist, "so-ui.js", script.as_bytes(), names)
}

fn write_index(ui: &Path, dist: &Path, names: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let page = fs::read_to_string(ui.join("index.html")).context("could not read index.html")?;
    fs::write(dist.join("index.html"), fill(&page, names)?).context("could not write index.html")
}

/// Replaces each `{{plain name}}` by the path of the hashed file.
fn fill(text: &str, names: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut filled = text.to_owned();
    for (plain, hashed) in names {
        filled = filled.replace(&format!("{{{{{plain}}}}}"), &format!("/assets/{hashed}"));
    }
    if let Some((_, unknown)) = filled.split_once("{{") {
        bail!(
            "no asset is called {:?}",
            unknown.split("}}").next().unwrap_or_default()
        );
    }
    Ok(filled)
}

fn compress(dist: &Path) -> anyhow::Result<()> {
    let mut first_load = 0;
    let assets = fs::read_dir(dist.join("assets"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    for file in assets.into_iter().chain([dist.join("index.html")]) {
        let extension = file
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let content = fs::read(&file)?;
        let size = if COMPRESSED.contains(&extension.as_str()) {
            content.len()
        } else {
            let mut writer =
                brotli::CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW);
            writer.write_all(&content)?;
            let compressed = writer.into_inner();
            fs::write(file.with_extension(format!("{extension}.br")), &compressed)?;
            if extension == PACKED_ALONE {
                fs::remove_file(&file)?;
            }
            compressed.len()
        };
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // The extended alphabet is fetched only by a page that shows one of its letters.
        if !name.contains("latin-ext") {
            first_load += size;
        }
        eprintln!("ui: {name}: {} bytes, {size} as sent", content.len());
    }
    eprintln!("ui: first load {first_load} bytes as sent");
    Ok(())
}
