// RocksDB's files, sealed on their way to the operating system and opened on their way back.
//
// Nothing of the format and nothing of the cryptography is here: this hands bytes to the functions of `bridge.rs` and what
// they return to the file system below. What is refused here would write over bytes that are sealed, and is not needed:
// files that are opened again for writing, direct I/O, memory maps.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "rocksdb/env.h"
#include "rocksdb/file_system.h"

using ROCKSDB_NAMESPACE::Env;
using ROCKSDB_NAMESPACE::FileAttributes;
using ROCKSDB_NAMESPACE::FileOptions;
using ROCKSDB_NAMESPACE::FileSystem;
using ROCKSDB_NAMESPACE::FileSystemWrapper;
using ROCKSDB_NAMESPACE::FSRandomAccessFile;
using ROCKSDB_NAMESPACE::FSRandomRWFile;
using ROCKSDB_NAMESPACE::FSSequentialFile;
using ROCKSDB_NAMESPACE::FSWritableFile;
using ROCKSDB_NAMESPACE::FSWritableFileWrapper;
using ROCKSDB_NAMESPACE::IODebugContext;
using ROCKSDB_NAMESPACE::IOOptions;
using ROCKSDB_NAMESPACE::IOStatus;
using ROCKSDB_NAMESPACE::Logger;
using ROCKSDB_NAMESPACE::MemoryMappedFileBuffer;
using ROCKSDB_NAMESPACE::Slice;

// As RocksDB's own `db/c.cc` has it, which gives no function that makes one of an `Env`. The version is pinned.
struct rocksdb_env_t {
  Env* rep;
  bool is_default;
};

extern "C" {

// What `bridge.rs` says of a file. Keep both in step.
enum Verdict : int32_t { kGood = 0, kClear = 1, kDamaged = 2, kUnknownKey = 3, kFailed = 4 };

// Reads at most `length` bytes; fewer only at the end of the file; -1 if the file system failed.
typedef int64_t (*ReadSource)(void* source, uint64_t offset, size_t length, char* out);

constexpr size_t kMessageBytes = 256;

struct Bridge {
  void* context;
  void (*drop_context)(void* context);
  // Whether new files are sealed now.
  bool (*seals)(void* context);
  // A writer for a new file, its header, and whether the file ends when it is synced or closed; null if it stays in the
  // clear.
  void* (*writer_create)(void* context, const char* name, size_t name_length, const char** header,
                         size_t* header_length, bool* ends);
  // False if the file has ended.
  bool (*writer_append)(void* writer, uint64_t durable, const char* content, size_t length, const char** out,
                        size_t* out_length);
  void (*writer_finish)(void* writer, const char** out, size_t* out_length);
  void (*writer_drop)(void* writer);
  int32_t (*reader_open)(void* context, ReadSource read, void* source, uint64_t file_bytes, void** reader,
                         uint64_t* length, char* message);
  int32_t (*reader_read)(void* reader, ReadSource read, void* source, uint64_t offset, size_t length, char* out,
                         size_t* got, char* message);
  void (*reader_drop)(void* reader);
};

}  // extern "C"

namespace {

// A file below, while one call reads from it.
struct Source {
  FSRandomAccessFile* file;
  const IOOptions* options;
  IODebugContext* debug;
  IOStatus status;
};

// Called from Rust, which no exception may pass: one that runs out of memory is a read that failed.
int64_t ReadFromSource(void* opaque, uint64_t offset, size_t length, char* out) noexcept try {
  auto* source = static_cast<Source*>(opaque);
  size_t got = 0;
  while (got < length) {
    Slice read;
    source->status =
        source->file->Read(offset + got, length - got, *source->options, &read, out + got, source->debug);
    if (!source->status.ok()) return -1;
    if (read.empty()) break;
    if (read.data() != out + got) memmove(out + got, read.data(), read.size());
    got += read.size();
  }
  return static_cast<int64_t>(got);
} catch (...) {
  return -1;
}

IOStatus StatusOf(int32_t verdict, const std::string& name, const char* message, Source& source) {
  switch (verdict) {
    case kGood:
    case kClear:
      return IOStatus::OK();
    case kFailed:
      if (!source.status.ok()) return source.status;
      return IOStatus::IOError(name, message);
    case kUnknownKey:
      return IOStatus::IOError(name, message);
    default:
      return IOStatus::Corruption(name, message);
  }
}

// A sealed file that is read; `Verdict` kClear leaves it empty.
class Opened {
 public:
  Opened(std::shared_ptr<Bridge> bridge, std::string name) : bridge_(std::move(bridge)), name_(std::move(name)) {}
  ~Opened() {
    if (reader_ != nullptr) bridge_->reader_drop(reader_);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  IOStatus Open(std::unique_ptr<FSRandomAccessFile> file, uint64_t file_bytes, const IOOptions& options,
                IODebugContext* debug) {
    file_ = std::move(file);
    Source source{file_.get(), &options, debug, IOStatus::OK()};
    char message[kMessageBytes] = {0};
    int32_t verdict =
        bridge_->reader_open(bridge_->context, ReadFromSource, &source, file_bytes, &reader_, &length_, message);
    IOStatus status = StatusOf(verdict, name_, message, source);
    source.status.PermitUncheckedError();
    return status;
  }

  bool IsSealed() const { return reader_ != nullptr; }
  uint64_t length() const { return length_; }
  FSRandomAccessFile* file() const { return file_.get(); }
  std::unique_ptr<FSRandomAccessFile> TakeFile() { return std::move(file_); }

  IOStatus Read(uint64_t offset, size_t length, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) const {
    Source source{file_.get(), &options, debug, IOStatus::OK()};
    char message[kMessageBytes] = {0};
    size_t got = 0;
    int32_t verdict =
        bridge_->reader_read(reader_, ReadFromSource, &source, offset, length, scratch, &got, message);
    IOStatus status = StatusOf(verdict, name_, message, source);
    source.status.PermitUncheckedError();
    *result = Slice(scratch, status.ok() ? got : 0);
    return status;
  }

 private:
  std::shared_ptr<Bridge> bridge_;
  std::string name_;
  std::unique_ptr<FSRandomAccessFile> file_;
  void* reader_ = nullptr;
  uint64_t length_ = 0;
};

class SealedSequentialFile : public FSSequentialFile {
 public:
  explicit SealedSequentialFile(std::unique_ptr<Opened> opened) : opened_(std::move(opened)) {}

  IOStatus Read(size_t n, const IOOptions& options, Slice* result, char* scratch, IODebugContext* debug) override {
    IOStatus status = opened_->Read(position_, n, options, result, scratch, debug);
    if (status.ok()) position_ += result->size();
    return status;
  }

  IOStatus Skip(uint64_t n) override {
    position_ += n;
    return IOStatus::OK();
  }

 private:
  std::unique_ptr<Opened> opened_;
  uint64_t position_ = 0;
};

class SealedRandomAccessFile : public FSRandomAccessFile {
 public:
  explicit SealedRandomAccessFile(std::unique_ptr<Opened> opened) : opened_(std::move(opened)) {}

  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) const override {
    return opened_->Read(offset, n, options, result, scratch, debug);
  }

  size_t GetUniqueId(char* id, size_t max_size) const override { return opened_->file()->GetUniqueId(id, max_size); }
  void Hint(AccessPattern pattern) override { opened_->file()->Hint(pattern); }
  // All of it: positions below are other ones.
  IOStatus InvalidateCache(size_t, size_t) override { return opened_->file()->InvalidateCache(0, 0); }
  IOStatus GetFileSize(uint64_t* result) override {
    *result = opened_->length();
    return IOStatus::OK();
  }

 private:
  std::unique_ptr<Opened> opened_;
};

class SealedWritableFile : public FSWritableFileWrapper {
 public:
  SealedWritableFile(std::shared_ptr<Bridge> bridge, void* writer, std::unique_ptr<FSWritableFile> file,
                     uint64_t header_bytes, bool ends)
      : FSWritableFileWrapper(file.get()),
        bridge_(std::move(bridge)),
        writer_(writer),
        file_(std::move(file)),
        ends_(ends),
        written_(header_bytes) {}
  ~SealedWritableFile() override { bridge_->writer_drop(writer_); }

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    const char* out = nullptr;
    size_t out_length = 0;
    if (!bridge_->writer_append(writer_, durable_.load(), data.data(), data.size(), &out, &out_length)) {
      return IOStatus::NotSupported("a sealed table file is written to after it was synced");
    }
    IOStatus status = Pass(out, out_length, options, debug);
    if (status.ok()) content_ += data.size();
    return status;
  }
  // The checksum is of the content, which does not arrive below.
  IOStatus Append(const Slice& data, const IOOptions& options, const ROCKSDB_NAMESPACE::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus PositionedAppend(const Slice&, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("PositionedAppend");
  }
  IOStatus PositionedAppend(const Slice&, uint64_t, const IOOptions&, const ROCKSDB_NAMESPACE::DataVerificationInfo&,
                            IODebugContext*) override {
    return IOStatus::NotSupported("PositionedAppend");
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    return size == content_ ? IOStatus::OK() : IOStatus::NotSupported("a sealed file is not cut off");
  }

  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override { return Settle(false, options, debug); }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override { return Settle(true, options, debug); }

  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = Finish(options, debug);
    IOStatus closed = file_->Close(options, debug);
    if (status.ok()) return closed;
    closed.PermitUncheckedError();
    return status;
  }

  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return content_; }
  void PrepareWrite(size_t, size_t length, const IOOptions& options, IODebugContext* debug) override {
    file_->PrepareWrite(static_cast<size_t>(written_.load()), length, options, debug);
  }

 private:
  // What failed in part leaves a hole that no reader passes: nothing may follow it.
  IOStatus Pass(const char* out, size_t length, const IOOptions& options, IODebugContext* debug) {
    if (broken_) return IOStatus::IOError("an earlier write to the file has failed");
    if (length == 0) return IOStatus::OK();
    IOStatus status = file_->Append(Slice(out, length), options, debug);
    if (status.ok()) {
      written_ += length;
    } else {
      broken_ = true;
    }
    return status;
  }

  IOStatus Finish(const IOOptions& options, IODebugContext* debug) {
    if (!ends_) return IOStatus::OK();
    const char* out = nullptr;
    size_t length = 0;
    bridge_->writer_finish(writer_, &out, &length);
    return Pass(out, length, options, debug);
  }

  // Journals are appended to while they are synced: what came later is not durable yet.
  IOStatus Settle(bool with_metadata, const IOOptions& options, IODebugContext* debug) {
    IOStatus status = Finish(options, debug);
    if (!status.ok()) return status;
    uint64_t written = written_.load();
    status = with_metadata ? file_->Fsync(options, debug) : file_->Sync(options, debug);
    if (status.ok()) {
      uint64_t before = durable_.load();
      while (before < written && !durable_.compare_exchange_weak(before, written)) {
      }
    }
    return status;
  }

  std::shared_ptr<Bridge> bridge_;
  void* writer_;
  std::unique_ptr<FSWritableFile> file_;
  const bool ends_;
  std::atomic<uint64_t> content_{0};
  std::atomic<uint64_t> written_;
  std::atomic<uint64_t> durable_{0};
  std::atomic<bool> broken_{false};
};

class SealedFileSystem : public FileSystemWrapper {
 public:
  SealedFileSystem(std::shared_ptr<FileSystem> target, std::shared_ptr<Bridge> bridge)
      : FileSystemWrapper(target), bridge_(std::move(bridge)) {}

  const char* Name() const override { return "RegnodeSealedFileSystem"; }

  IOStatus NewSequentialFile(const std::string& name, const FileOptions& options,
                             std::unique_ptr<FSSequentialFile>* result, IODebugContext* debug) override {
    std::unique_ptr<Opened> opened;
    IOStatus status = OpenFile(name, options, &opened, debug);
    if (!status.ok()) return status;
    if (!opened->IsSealed()) return target_->NewSequentialFile(name, Buffered(options), result, debug);
    result->reset(new SealedSequentialFile(std::move(opened)));
    return status;
  }

  IOStatus NewRandomAccessFile(const std::string& name, const FileOptions& options,
                               std::unique_ptr<FSRandomAccessFile>* result, IODebugContext* debug) override {
    std::unique_ptr<Opened> opened;
    IOStatus status = OpenFile(name, options, &opened, debug);
    if (!status.ok()) return status;
    if (opened->IsSealed()) {
      result->reset(new SealedRandomAccessFile(std::move(opened)));
    } else {
      *result = opened->TakeFile();
    }
    return status;
  }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* result, IODebugContext* debug) override {
    std::unique_ptr<FSWritableFile> file;
    IOStatus status = target_->NewWritableFile(name, Buffered(options), &file, debug);
    if (!status.ok()) return status;
    const char* header = nullptr;
    size_t header_length = 0;
    bool ends = false;
    void* writer = bridge_->writer_create(bridge_->context, name.data(), name.size(), &header, &header_length, &ends);
    if (writer == nullptr) {
      *result = std::move(file);
      return status;
    }
    status = file->Append(Slice(header, header_length), options.io_options, debug);
    result->reset(new SealedWritableFile(bridge_, writer, std::move(file), header_length, ends));
    if (!status.ok()) result->reset();
    return status;
  }

  // What is in the clear and stays so may be written over. Else as the base does it: the old name goes, and the file
  // begins anew.
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name, const FileOptions& options,
                             std::unique_ptr<FSWritableFile>* result, IODebugContext* debug) override {
    std::unique_ptr<Opened> opened;
    IOStatus status = OpenFile(old_name, options, &opened, debug);
    bool is_clear = status.ok() && !opened->IsSealed();
    if (is_clear && !bridge_->seals(bridge_->context)) {
      return target_->ReuseWritableFile(name, old_name, Buffered(options), result, debug);
    }
    return FileSystem::ReuseWritableFile(name, old_name, options, result, debug);
  }
  IOStatus ReopenWritableFile(const std::string&, const FileOptions&, std::unique_ptr<FSWritableFile>*,
                              IODebugContext*) override {
    return IOStatus::NotSupported("ReopenWritableFile");
  }
  IOStatus NewRandomRWFile(const std::string&, const FileOptions&, std::unique_ptr<FSRandomRWFile>*,
                           IODebugContext*) override {
    return IOStatus::NotSupported("NewRandomRWFile");
  }
  IOStatus NewMemoryMappedFileBuffer(const std::string&, std::unique_ptr<MemoryMappedFileBuffer>*) override {
    return IOStatus::NotSupported("NewMemoryMappedFileBuffer");
  }
  IOStatus Truncate(const std::string&, size_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("Truncate");
  }
  // The target's would write around the seal.
  IOStatus NewLogger(const std::string& name, const IOOptions& options, std::shared_ptr<Logger>* result,
                     IODebugContext* debug) override {
    return FileSystem::NewLogger(name, options, result, debug);
  }

  IOStatus GetFileSize(const std::string& name, const IOOptions& options, uint64_t* size,
                       IODebugContext* debug) override {
    bool is_directory = false;
    IOStatus status = target_->IsDirectory(name, options, &is_directory, debug);
    if (status.ok() && is_directory) return target_->GetFileSize(name, options, size, debug);
    if (!status.ok()) return status;
    std::unique_ptr<Opened> opened;
    status = OpenFile(name, FileOptions(), &opened, debug);
    if (!status.ok()) return status;
    if (!opened->IsSealed()) return target_->GetFileSize(name, options, size, debug);
    *size = opened->length();
    return status;
  }
  // The base asks for each file's size one by one.
  IOStatus GetChildrenFileAttributes(const std::string& directory, const IOOptions& options,
                                     std::vector<FileAttributes>* result, IODebugContext* debug) override {
    return FileSystem::GetChildrenFileAttributes(directory, options, result, debug);
  }

  // Nothing is read ahead below: RocksDB reads larger pieces itself then, and a large piece is opened at once.
  void SupportedOps(int64_t& supported) override { supported = 0; }

 private:
  static FileOptions Buffered(const FileOptions& options) {
    FileOptions buffered(options);
    buffered.use_direct_reads = false;
    buffered.use_direct_writes = false;
    buffered.use_mmap_reads = false;
    buffered.use_mmap_writes = false;
    return buffered;
  }

  IOStatus OpenFile(const std::string& name, const FileOptions& options, std::unique_ptr<Opened>* opened,
                    IODebugContext* debug) {
    std::unique_ptr<FSRandomAccessFile> file;
    IOStatus status = target_->NewRandomAccessFile(name, Buffered(options), &file, debug);
    if (!status.ok()) return status;
    uint64_t file_bytes = 0;
    status = target_->GetFileSize(name, options.io_options, &file_bytes, debug);
    if (!status.ok()) return status;
    opened->reset(new Opened(bridge_, name));
    return (*opened)->Open(std::move(file), file_bytes, options.io_options, debug);
  }

  std::shared_ptr<Bridge> bridge_;
};

}  // namespace

// Called from Rust at the start: an exception ends the program here, not in frames that cannot pass it on.
extern "C" rocksdb_env_t* regnode_sealed_env_create(const Bridge* bridge) noexcept {
  std::shared_ptr<Bridge> shared(new Bridge(*bridge), [](Bridge* last) {
    last->drop_context(last->context);
    delete last;
  });
  auto file_system = std::make_shared<SealedFileSystem>(FileSystem::Default(), std::move(shared));
  auto* env = new rocksdb_env_t;
  env->rep = ROCKSDB_NAMESPACE::NewCompositeEnv(file_system).release();
  env->is_default = false;
  return env;
}
