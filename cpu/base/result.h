// User and host errors: a value or one sentence that says what to do. Guest faults and our own bugs are not these.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace umbra {

struct Error {
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}
  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const std::string& error() const { return std::get<1>(state_).message; }
  Error take_error() { return std::move(std::get<1>(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : message_(std::move(error.message)), ok_(false) {}
  explicit operator bool() const { return ok_; }
  const std::string& error() const { return message_; }
  Error take_error() { return Error{std::move(message_)}; }

 private:
  std::string message_;
  bool ok_ = true;
};

using Status = Result<void>;

}  // namespace umbra
