#include "frontend/streams.h"

#include "cpu/base/log.h"

namespace umbra {
namespace {

constexpr const char* kMonitor = "monitor";

bool is_none(const std::string& spec) { return spec.empty() || spec == "none"; }

}  // namespace

Status Streams::open(Options& o) {
  for (const NamedStream& s : o.streams) named_[s.id].stream = s;
  if (o.serial.size() > 4) return Error{"-serial: a PC has four serial ports at most"};
  if (o.parallel.size() > 3) return Error{"-parallel: a PC has three parallel ports at most"};
  if (Status s = open_ports(o.serial, "serial", o.machine.serial); !s) return s;
  if (Status s = open_ports(o.parallel, "parallel", o.machine.parallel); !s) return s;
  if (!is_none(o.debugcon)) {
    auto dev = open_port(o.debugcon, "debugcon");
    if (!dev) return dev.take_error();
    o.machine.debugcon = std::move(*dev);
  }
  for (const std::string& spec : o.monitors) {
    if (is_none(spec)) continue;
    auto dev = open_port(spec, kMonitor);
    if (!dev) return dev.take_error();
    if (*dev != nullptr) monitors.push_back(std::move(*dev));
  }
  for (const auto& [id, named] : named_)
    if (named.uses == 0) warn("-chardev: '%s' is connected to nothing", id.c_str());
  return {};
}

Status Streams::open_ports(const std::vector<std::string>& specs, const char* kind,
                           std::vector<std::unique_ptr<CharDev>>& out) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    auto dev = open_port(specs[i], kind + std::to_string(i));
    if (!dev) return dev.take_error();
    out.push_back(std::move(*dev));
  }
  return {};
}

Result<std::unique_ptr<CharDev>> Streams::open_port(const std::string& spec, const std::string& label) {
  if (spec.starts_with("chardev:")) return open_named(spec.substr(8), label);
  if (!spec.starts_with("mon:")) {
    auto dev = open_chardev(spec, label, loop_);
    if (dev && spec == "stdio") use_raw_terminal(true);
    if (dev && *dev != nullptr) enlist(label, **dev);
    return dev;
  }
  auto stream = open_chardev(spec.substr(4), label, loop_);
  if (!stream || *stream == nullptr) return stream;
  if (spec == "mon:stdio") use_raw_terminal(false);
  enlist(label, **stream);
  Mux mux(std::move(*stream), [this] { quit(); });
  auto port = mux.face(label);
  if (label != kMonitor) monitors.push_back(mux.face(kMonitor));
  return port;
}

void Streams::enlist(const std::string& label, const CharDev& dev) {
  list_ += label + ": filename=" + dev.describe() + "\n";
}

Result<std::unique_ptr<CharDev>> Streams::open_named(const std::string& id, const std::string& label) {
  const auto found = named_.find(id);
  if (found == named_.end())
    return Error{label + ": there is no stream called '" + id + "'; -chardev BACKEND,id=" + id + " makes one"};
  Named& named = found->second;
  if (named.uses++ != 0 && !named.stream.shared)
    return Error{label + ": the stream '" + id + "' is in use already; with mux=on it can be shared"};
  if (named.mux == nullptr) {
    auto stream = open_chardev(named.stream.stream, label, loop_);
    if (stream && named.stream.stream == "stdio") use_raw_terminal(named.stream.signals && !named.stream.shared);
    if (stream) enlist(id, **stream);
    if (!stream || !named.stream.shared) return stream;
    named.mux = std::make_unique<Mux>(std::move(*stream), [this] { quit(); });
  }
  return named.mux->face(label);
}

}  // namespace umbra
