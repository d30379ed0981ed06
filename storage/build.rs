//! Compiles the file system that stands between RocksDB and the operating system, against the headers of the very
//! RocksDB that is linked.

use std::env;
use std::path::Path;

const SOURCE: &str = "src/kv/sealed/file_system.cc";

#[expect(clippy::disallowed_methods, reason = "a build script is told its settings by variables")]
fn main() {
    println!("cargo:rerun-if-changed={SOURCE}");
    // librocksdb-sys tells it to whoever depends on it directly.
    let rocksdb = env::var("DEP_ROCKSDB_CARGO_MANIFEST_DIR").expect("librocksdb-sys says where its sources are");
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .file(SOURCE)
        .include(Path::new(&rocksdb).join("rocksdb/include"))
        // As RocksDB itself is compiled.
        .define("NDEBUG", "1")
        .define("OS_LINUX", None)
        .define("ROCKSDB_PLATFORM_POSIX", None)
        .flag("-Wno-unused-parameter")
        .compile("regnode_sealed");
}
