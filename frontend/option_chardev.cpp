// -chardev, which gives a stream a name, and -mon, which puts a monitor on it. A -chardev is turned into the short form
// that -serial takes, so that there is one way to open a stream.
#include <algorithm>

#include "frontend/option_handlers.h"

namespace umbra {
namespace {

using Items = std::vector<KeyValue>;

// The value of `key`, taken out of the list.
std::string take(Items& items, const std::string& key) {
  const auto found = std::ranges::find(items, key, &KeyValue::key);
  if (found == items.end()) return "";
  std::string value = found->value;
  items.erase(found);
  return value;
}

Result<bool> take_bool(Items& items, const std::string& key, bool otherwise) {
  const auto found = std::ranges::find(items, key, &KeyValue::key);
  if (found == items.end()) return otherwise;
  bool on = false;
  if (Status s = set_bool(on, "chardev", *found); !s) return s.take_error();
  items.erase(found);
  return on;
}

Result<std::string> socket_stream(Items& items) {
  const std::string path = take(items, "path"), host = take(items, "host"), port = take(items, "port");
  if (path.empty() && port.empty()) return Error{"-chardev: a socket needs path=, or host= and port="};
  auto server = take_bool(items, "server", false), wait = take_bool(items, "wait", true);
  auto telnet = take_bool(items, "telnet", false);
  for (auto* flag : {&server, &wait, &telnet})
    if (!*flag) return flag->take_error();
  return (path.empty() ? (*telnet ? "telnet:" : "tcp:") + host + ":" + port : "unix:" + path) +
         (*server ? ",server" : "") + (*wait ? "" : ",nowait");
}

Result<std::string> stream_of(const std::string& backend, Items& items) {
  if (backend == "stdio" || backend == "null" || backend == "pty") return backend;
  if (backend == "socket") return socket_stream(items);
  if (backend != "file" && backend != "pipe")
    return bad_value("chardev", backend, "stdio, null, pty, file, pipe or socket").take_error();
  const std::string path = take(items, "path");
  if (path.empty()) return Error{"-chardev: a " + backend + " needs path="};
  auto append = take_bool(items, "append", false);
  if (!append) return append.take_error();
  if (*append) return Error{"-chardev: append=on is not supported; a file is written from its beginning"};
  return backend + ":" + path;
}

}  // namespace

Status option_chardev(Options& o, const std::string& text) {
  Items items = parse_key_values(text);
  if (items.empty()) return bad_value("chardev", text, "BACKEND,id=NAME");
  const std::string backend = items[0].key == "backend" ? items[0].value : items[0].key;
  items.erase(items.begin());
  NamedStream named;
  named.id = take(items, "id");
  if (named.id.empty()) return Error{"-chardev: '" + text + "' has no id=, by which others could name it"};
  if (std::ranges::count(o.streams, named.id, &NamedStream::id) != 0)
    return Error{"-chardev: the id '" + named.id + "' is given twice"};
  auto shared = take_bool(items, "mux", false), signals = take_bool(items, "signal", true);
  if (!shared || !signals) return (shared ? signals : shared).take_error();
  auto stream = stream_of(backend, items);
  if (!stream) return stream.take_error();
  if (!items.empty()) return Error{"-chardev: " + backend + " has no '" + items[0].key + "' that can be set here"};
  named.stream = *stream;
  named.shared = *shared;
  named.signals = *signals;
  o.streams.push_back(named);
  return {};
}

Status option_mon(Options& o, const std::string& text) {
  std::string id;
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "chardev" || kv.value.empty()) {
      id = kv.key == "chardev" ? kv.value : kv.key;
    } else if (kv.key == "mode" && kv.value == "control") {
      return Error{"-mon: there is no QMP yet; mode=readline is supported"};
    } else if (kv.key != "id" && (kv.key != "mode" || kv.value != "readline")) {
      return bad_value("mon", kv.key + "=" + kv.value, "chardev=NAME,mode=readline");
    }
  }
  o.monitors.push_back("chardev:" + id);
  return {};
}

}  // namespace umbra
