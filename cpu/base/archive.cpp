#include "cpu/base/archive.h"

#include <cstring>

namespace umbra {
namespace {

u32 name_tag(const char* name) {  // each field is preceded by a hash of its name, so that a shifted file is noticed
  u32 h = 2166136261u;
  for (; *name != 0; ++name) h = (h ^ static_cast<u8>(*name)) * 16777619u;
  return h;
}

}  // namespace

Archive Archive::loader(std::vector<u8> bytes) {
  Archive a(Mode::kLoad);
  a.bytes_ = std::move(bytes);
  return a;
}

Archive Archive::lister(Lister lister) {
  Archive a(Mode::kList);
  a.lister_ = std::move(lister);
  return a;
}

void Archive::raw(const char* name, void* data, std::size_t size) {
  switch (mode_) {
    case Mode::kSave: {
      const u32 tag = name_tag(name);
      const auto* t = reinterpret_cast<const u8*>(&tag);
      bytes_.insert(bytes_.end(), t, t + sizeof tag);
      const auto* p = static_cast<const u8*>(data);
      bytes_.insert(bytes_.end(), p, p + size);
      break;
    }
    case Mode::kLoad: {
      if (failed()) return;
      u32 tag = 0;
      if (bytes_.size() - position_ < sizeof tag + size)
        return fail("the saved state ends inside " + std::string(name));
      std::memcpy(&tag, bytes_.data() + position_, sizeof tag);
      if (tag != name_tag(name)) return fail("the saved state does not continue with " + std::string(name));
      std::memcpy(data, bytes_.data() + position_ + sizeof tag, size);
      position_ += sizeof tag + size;
      break;
    }
    case Mode::kHash: {
      const auto* p = static_cast<const u8*>(data);
      for (std::size_t i = 0; i < size; ++i) hash_ = (hash_ ^ p[i]) * 0x100000001b3;
      break;
    }
    case Mode::kList: {
      std::string path;
      for (const std::string& part : path_) path += part + ".";
      lister_(path + name, data, size);
      break;
    }
  }
}

void Archive::enter(const char* name) {
  if (mode_ == Mode::kList) path_.emplace_back(name);
}

void Archive::leave() {
  if (mode_ == Mode::kList) path_.pop_back();
}

void Archive::fail(std::string reason) {
  if (error_.empty()) error_ = std::move(reason);
}

Status Archive::finish() const {
  if (failed()) return Error{error_};
  if (loading() && position_ != bytes_.size()) return Error{"the saved state goes on after its end"};
  return {};
}

}  // namespace umbra
