#include "devices/storage/file_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "cpu/base/bits.h"
#include "cpu/base/log.h"

namespace umbra {
namespace {

// Byte 100+p is locked (shared) by who uses permission p, byte 200+p by who does not want others to use p. Everyone
// takes its locks first and then looks for others' conflicting ones, so two openers may both lose but never both win.
enum Permission { kUseRead = 0, kUseWrite = 1, kUseResize = 3 };
constexpr int kUses = 100;
constexpr int kForbids = 200;

enum class LockOutcome { kOk, kTaken, kUnavailable };

struct flock byte_lock(short type, int byte) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

bool held_by_other(int fd, int byte) {
  struct flock probe = byte_lock(F_WRLCK, byte);
  return ::fcntl(fd, F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
}

LockOutcome lock_image(int fd, bool writable) {
  std::vector<int> uses{kUseRead};
  const std::vector<int> forbids{kUseWrite, kUseResize};
  if (writable) uses.insert(uses.end(), {kUseWrite, kUseResize});
  const auto take = [fd](int byte) {
    struct flock lock = byte_lock(F_RDLCK, byte);
    return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
  };
  for (int p : uses)
    if (!take(kUses + p)) return errno == EAGAIN || errno == EACCES ? LockOutcome::kTaken : LockOutcome::kUnavailable;
  for (int p : forbids)
    if (!take(kForbids + p))
      return errno == EAGAIN || errno == EACCES ? LockOutcome::kTaken : LockOutcome::kUnavailable;
  for (int p : uses)
    if (held_by_other(fd, kForbids + p)) return LockOutcome::kTaken;
  for (int p : forbids)
    if (held_by_other(fd, kUses + p)) return LockOutcome::kTaken;
  return LockOutcome::kOk;
}

struct Magic {
  u64 offset;
  std::string_view bytes;
  const char* format;
};
constexpr Magic kMagics[] = {
    {0, "QFI\xfb", "qcow2"},
    {0, "KDMV", "VMDK"},
    {0, "vhdxfile", "VHDX"},
    {0, "conectix", "VHD"},
    {0, "WithoutFreeSpace", "Parallels"},
    {0, "WithouFreSpacExt", "Parallels"},
    {0x40, "\x7f\x10\xda\xbe", "VDI"},
};

class FileStore final : public BlockStore {
 public:
  FileStore(int fd, std::string path, u64 length, bool read_only)
      : fd_(fd),
        path_(std::move(path)),
        length_(length),
        size_(align_up<u64>(length, kSectorSize)),
        read_only_(read_only) {}
  ~FileStore() override { ::close(fd_); }

  u64 bytes() const override { return size_; }
  bool read_only() const override { return read_only_; }
  std::string describe() const override { return path_ + " (raw, " + (read_only_ ? "read-only)" : "read-write)"); }

  BlockStatus read(u64 offset, u8* to, std::size_t size) override {
    const std::size_t held = inside(offset, size);
    std::memset(to + held, 0, size - held);
    if (read_all(fd_, offset, to, held)) return BlockStatus::kOk;
    if (errno == 0) say_shrunk();
    return BlockStatus::kIoError;
  }

  std::optional<BlockStatus> try_read(u64 offset, u8* to, std::size_t size) override {
    const std::size_t held = inside(offset, size);
    if (!cached_.read(fd_, offset, to, held)) return {};
    std::memset(to + held, 0, size - held);
    return BlockStatus::kOk;
  }

  BlockStatus write(u64 offset, const u8* from, std::size_t size) override {
    // Writing beyond a new, smaller end would make a hole of zeros out of what was lost, and hide the loss.
    if (static_cast<u64>(::lseek(fd_, 0, SEEK_END)) < length_) {
      say_shrunk();
      return BlockStatus::kIoError;
    }
    if (!write_all(fd_, offset, from, size)) return write_status(errno);
    length_ = std::max(length_, offset + size);
    return BlockStatus::kOk;
  }

  BlockStatus flush() override {
    // After a failed fdatasync the kernel may have dropped the pages and would report success next time.
    if (flush_failed_) return BlockStatus::kIoError;
    if (::fdatasync(fd_) == 0 || errno == EINVAL || errno == EROFS) return BlockStatus::kOk;
    flush_failed_ = true;
    warn("%s: the host could not put the guest's writes on stable storage: %s", path_.c_str(), std::strerror(errno));
    return write_status(errno);
  }

 private:
  std::size_t inside(u64 offset, std::size_t size) const {
    return offset >= length_ ? 0 : static_cast<std::size_t>(std::min<u64>(size, length_ - offset));
  }
  void say_shrunk() {
    if (!std::exchange(said_shrunk_, true))
      warn("%s became smaller while the guest uses it; the guest gets I/O errors", path_.c_str());
  }

  int fd_;
  std::string path_;
  u64 length_;  // of the file; the rest of its last sector reads as zeros
  u64 size_;
  bool read_only_;
  CachedReads cached_;
  bool flush_failed_ = false;
  bool said_shrunk_ = false;
};

Error cannot(const std::string& path, const std::string& why) { return Error{"cannot use '" + path + "': " + why}; }

Status check_content(int fd, const std::string& path, u64 length) {
  for (const Magic& magic : kMagics) {
    char head[16] = {};
    if (length < magic.offset + magic.bytes.size()) continue;
    if (!read_all(fd, magic.offset, reinterpret_cast<u8*>(head), magic.bytes.size())) continue;
    if (std::string_view(head, magic.bytes.size()) != magic.bytes) continue;
    const std::string kind = magic.format;
    return cannot(
        path, "it is a " + kind + " image and only raw images are supported; convert it with qemu-img convert -O raw");
  }
  return {};
}

}  // namespace

bool read_all(int fd, u64 offset, u8* to, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::pread(fd, to, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = 0;
    if (n <= 0) return false;
    to += n;
    offset += static_cast<u64>(n);
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool CachedReads::read(int fd, u64 offset, u8* to, std::size_t size) {
  struct iovec part = {to, size};
  if (!possible_) return false;
  const ssize_t n = ::preadv2(fd, &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
  if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) possible_ = false;
  return n == static_cast<ssize_t>(size);
}

bool write_all(int fd, u64 offset, const u8* from, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, from, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return false;
    from += n;
    offset += static_cast<u64>(n);
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

BlockStatus write_status(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG ? BlockStatus::kNoSpace : BlockStatus::kIoError;
}

Result<int> open_scratch_file() {
  const char* wanted = std::getenv("TMPDIR");
  const std::string folder = wanted != nullptr && *wanted != 0 ? wanted : "/var/tmp";
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {  // not every file system knows O_TMPFILE
    std::string name = folder + "/umbra-XXXXXX";
    fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) ::unlink(name.c_str());
  }
  if (fd < 0)
    return Error{"cannot make a temporary file in '" + folder + "': " + std::strerror(errno) +
                 "; name another folder in TMPDIR"};
  return fd;
}

Result<std::unique_ptr<BlockStore>> open_file_store(const std::string& path, FileAccess access) {
  bool writable = access != FileAccess::kReadOnly;
  int fd = ::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && writable && (errno == EACCES || errno == EROFS || errno == EPERM)) {
    const int reason = errno;
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && access == FileAccess::kReadWrite) {
      ::close(fd);
      return cannot(path, std::string("it cannot be written (") + std::strerror(reason) +
                              "); make it writable, or throw the guest's writes away with -snapshot");
    }
    writable = false;
  }
  if (fd < 0) {
    if (errno == ENOENT) return cannot(path, "there is no such file");
    if (errno == EISDIR) return cannot(path, "it is a folder; a folder is shown as a FAT disk with fat:" + path);
    return cannot(path, std::strerror(errno));
  }
  const auto refuse = [&](const std::string& why) {
    ::close(fd);
    return cannot(path, why);
  };
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return refuse(std::strerror(errno));
  if (S_ISDIR(st.st_mode)) return refuse("it is a folder; a folder is shown as a FAT disk with fat:" + path);
  if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) return refuse("it is neither a file nor a block device");
  const off_t length = ::lseek(fd, 0, SEEK_END);
  if (length < 0) return refuse(std::strerror(errno));
  if (length == 0) return refuse("it is empty");
  switch (lock_image(fd, writable)) {
    case LockOutcome::kOk:
      break;
    case LockOutcome::kTaken:
      return refuse(writable ? "another process uses it; two writers would destroy it"
                             : "another process is writing it; stop that one first");
    case LockOutcome::kUnavailable:
      warn("%s: its file system cannot lock it; make sure that nobody else writes it", path.c_str());
      break;
  }
  if (Status content = check_content(fd, path, static_cast<u64>(length)); !content) {
    ::close(fd);
    return content.take_error();
  }
  return std::unique_ptr<BlockStore>(new FileStore(fd, path, static_cast<u64>(length), !writable));
}

}  // namespace umbra
