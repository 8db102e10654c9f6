#include "devices/board/direct_boot.h"

namespace umbra {
Result<DirectBoot> DirectBoot::load(const std::string&, const std::string&, const std::string&, u64) {
  return Error{"-kernel"};
}
}  // namespace umbra
