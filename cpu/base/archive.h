// One function per device or processor part, `void state(Archive&)`, names every field once. The same walk saves,
// restores, hashes and lists. A restored file is hostile: sizes and enums are checked by the caller with `fail`.
//
//   void Pic::state(Archive& a) { a("irr", r_.irr)("imr", r_.imr)("isr", r_.isr); }
#pragma once

#include <array>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "cpu/base/result.h"
#include "cpu/base/types.h"

namespace umbra {

class Archive {
 public:
  enum class Mode { kSave, kLoad, kHash, kList };
  using Lister = std::function<void(const std::string& path, const void* data, std::size_t size)>;

  static Archive saver() { return Archive(Mode::kSave); }
  static Archive hasher() { return Archive(Mode::kHash); }
  static Archive loader(std::vector<u8> bytes);
  static Archive lister(Lister lister);

  Mode mode() const { return mode_; }
  bool loading() const { return mode_ == Mode::kLoad; }

  template <class T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) Archive& operator()(const char* name, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      u8 byte = value ? 1 : 0;
      raw(name, &byte, 1);
      value = byte != 0;
    } else {
      raw(name, &value, sizeof value);
    }
    return *this;
  }
  template <class T, std::size_t N>
  Archive& operator()(const char* name, T (&values)[N]) {
    return sequence(name, values, N);
  }
  template <class T, std::size_t N>
  Archive& operator()(const char* name, std::array<T, N>& values) {
    return sequence(name, values.data(), N);
  }
  // A part with its own `void state(Archive&)`.
  template <class T>
  requires requires(T& part, Archive& a) { part.state(a); }
  Archive& operator()(const char* name, T& part) {
    enter(name);
    part.state(*this);
    leave();
    return *this;
  }
  // Variable length, at most `max` elements; a longer one in a file fails the load.
  template <class T>
  Archive& bounded(const char* name, std::vector<T>& values, std::size_t max) {
    u32 count = static_cast<u32>(values.size());
    enter(name);
    (*this)("count", count);
    if (loading()) {
      if (count > max) {
        fail(std::string(name) + " is longer than the device allows");
        count = 0;
      }
      values.resize(count);
    }
    sequence("data", values.data(), values.size());
    leave();
    return *this;
  }
  void bytes(const char* name, void* data, std::size_t size) { raw(name, data, size); }

  // Marks a load as failed; the first reason is kept. `require` is the check a loader makes of each index it will use.
  void fail(std::string reason);
  void require(bool ok, const char* what) {
    if (loading() && !ok) fail(std::string(what) + " is out of range");
  }
  bool failed() const { return !error_.empty(); }
  Status finish() const;  // loading: an error if it failed or bytes are left over

  const std::vector<u8>& saved() const { return bytes_; }
  u64 hash() const { return hash_; }

 private:
  explicit Archive(Mode mode) : mode_(mode) {}
  template <class T>
  Archive& sequence(const char* name, T* values, std::size_t count) {
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      raw(name, values, count * sizeof(T));
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        if (mode_ == Mode::kList) {
          (*this)((std::string(name) + "[" + std::to_string(i) + "]").c_str(), values[i]);
        } else {
          (*this)(name, values[i]);
        }
      }
    }
    return *this;
  }
  void raw(const char* name, void* data, std::size_t size);
  void enter(const char* name);
  void leave();

  Mode mode_;
  std::vector<u8> bytes_;
  std::size_t position_ = 0;
  u64 hash_ = 0xcbf29ce484222325;
  std::vector<std::string> path_;
  Lister lister_;
  std::string error_;
};

}  // namespace umbra
