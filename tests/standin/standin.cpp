// A stand-in accelerator: torch's spare kind of device (PrivateUse1) with host memory behind it.
// Every operator runs on the CPU, on copies, as on a device without an operator of its own; tensors
// of both devices in one call are refused; memory held and copies in both directions are counted. On
// demand there is no float64, as on MPS.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace {

constexpr auto KIND = c10::DeviceType::PrivateUse1;
std::atomic<int64_t> held{0}, peak{0}, to_device{0}, to_host{0}, bytes_to_host{0};
std::atomic<bool> without_float64{false};
thread_local bool inside = false;  // copies that the fallback makes are none of the program's

// memory

struct Memory {
  void* start;
  size_t bytes;
};

void release(void* context) {
  auto* memory = static_cast<Memory*>(context);
  held -= static_cast<int64_t>(memory->bytes);
  std::free(memory->start);
  delete memory;
}

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto* memory = new Memory{bytes ? std::malloc(bytes) : nullptr, bytes};
    held += static_cast<int64_t>(bytes);
    if (held > peak) peak = held.load();
    return {memory->start, memory, &release, c10::Device(KIND, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};
Allocator allocator;
REGISTER_ALLOCATOR(KIND, &allocator);

// one device, one stream, nothing asynchronous

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static c10::Stream only() { return c10::Stream(c10::Stream::DEFAULT, c10::Device(KIND, 0)); }
  c10::DeviceType type() const override { return KIND; }
  c10::Device exchangeDevice(c10::Device) const override { return {KIND, 0}; }
  c10::Device getDevice() const override { return {KIND, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return only(); }
  c10::Stream getNewStream(c10::Device, int) const override { return only(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return only(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, c10::DeviceIndex) const noexcept override {}
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isBuilt() const override { return true; }
};

struct Registration {
  Registration() {
    at::RegisterPrivateUse1HooksInterface(new Hooks());
    c10::impl::DeviceGuardImplRegistrar registered(KIND, new Guard());
  }
} registration;

// what must be there for tensors to exist and be copied

bool here(const at::Tensor& x) { return x.device().type() == KIND; }

void refuse(at::ScalarType kind) {
  TORCH_CHECK_TYPE(!without_float64 || (kind != at::kDouble && kind != at::kComplexDouble),
                   "stand-in accelerator: there is no float64 here");
}

void require_type(std::optional<at::ScalarType> type) {
  refuse(c10::typeMetaToScalarType(c10::scalarTypeToTypeMeta(c10::dtype_or_default(type))));
}

at::Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  require_type(type);
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &allocator,
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), c10::dtype_or_default(type),
                                   format);
}

at::Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> type,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  require_type(type);
  return at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &allocator,
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(type));
}

// the same memory as a tensor of the CPU
at::Tensor on_host(const at::Tensor& x) {
  auto found = at::from_blob(x.data_ptr(), x.sizes(), x.strides(), x.options().device(at::kCPU));
  if (x.is_conj()) found._set_conj(true);
  if (x.is_neg()) found._set_neg(true);
  return found;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  // MPS converts where it copies from
  if (!inside && here(from)) refuse(to.scalar_type());
  if (!inside && here(from) && !here(to)) {
    ++to_host;
    bytes_to_host += static_cast<int64_t>(from.nbytes());
  } else if (!inside && here(to) && !here(from)) {
    ++to_device;
  }
  auto target = here(to) ? on_host(to) : to;
  target.copy_(here(from) ? on_host(from) : from);
  return to;
}

const at::Tensor& resize(const at::Tensor& x, c10::SymIntArrayRef size, std::optional<at::MemoryFormat>) {
  auto wanted = C10_AS_INTARRAYREF_SLOW(size);
  if (x.sizes() == wanted) return x;  // as torch does: what has the size keeps its strides
  auto* tensor = x.unsafeGetTensorImpl();
  auto bytes = (c10::multiply_integers(wanted) + x.storage_offset()) * x.itemsize();
  if (x.storage().nbytes() < bytes) {
    auto memory = allocator.allocate(bytes);
    if (x.storage().nbytes()) std::memcpy(memory.get(), x.storage().data(), x.storage().nbytes());
    tensor->unsafe_storage().set_data_ptr_noswap(std::move(memory));
    tensor->unsafe_storage().set_nbytes(bytes);
  }
  tensor->set_sizes_contiguous(wanted);
  return x;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  resize(to, c10::fromIntArrayRefSlow(from.sizes()), std::nullopt);
  return copy_from(from, to, false);
}

at::Scalar scalar(const at::Tensor& x) {
  if (!inside) {
    ++to_host;
    bytes_to_host += static_cast<int64_t>(x.nbytes());
  }
  return on_host(x).item();
}

at::Tensor as_strided(const at::Tensor& x, c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                      std::optional<c10::SymInt> offset) {
  auto place = offset ? std::optional<int64_t>(offset->guard_int(__FILE__, __LINE__)) : std::nullopt;
  return at::native::as_strided_tensorimpl(x, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), place);
}

at::Tensor view(const at::Tensor& x, c10::SymIntArrayRef size) {
  return at::native::view(x, C10_AS_INTARRAYREF_SLOW(size));
}

at::Tensor reshape_alias(const at::Tensor& x, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  return as_strided(x, size, stride, std::nullopt);
}

at::Tensor unfold(const at::Tensor& x, int64_t dimension, int64_t size, int64_t step) {
  return at::native::unfold(x, dimension, size, step);
}

at::Tensor& set_source(at::Tensor& x, at::Storage source, c10::SymInt offset, c10::SymIntArrayRef size,
                       c10::SymIntArrayRef stride) {
  auto* tensor = x.unsafeGetTensorImpl();
  tensor->set_storage_keep_dtype(std::move(source));
  tensor->set_sizes_and_strides(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                offset.guard_int(__FILE__, __LINE__));
  return x;
}

at::Tensor as_here(const at::Tensor& x) { return x.to(c10::Device(KIND, 0)); }

struct Within {
  bool before = inside;
  Within() { inside = true; }
  ~Within() { inside = before; }
};

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, int64_t groups) {
  TORCH_CHECK(here(x) && here(weight) && (!bias || !bias->defined() || here(*bias)),
              "stand-in accelerator: a convolution got tensors of both devices");
  Within within;
  auto offset = bias && bias->defined() ? std::optional<at::Tensor>(on_host(*bias)) : std::nullopt;
  return as_here(at::convolution(on_host(x), on_host(weight), offset, stride, padding, dilation, transposed,
                                 output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& weight, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding, int64_t groups,
    std::array<bool, 3> wanted) {
  Within within;
  auto sizes = wanted[2] ? at::OptionalIntArrayRef(gradient.size(1)) : at::OptionalIntArrayRef();
  auto found = at::convolution_backward(on_host(gradient), on_host(x), on_host(weight), sizes, stride, padding,
                                        dilation, transposed, output_padding, groups, wanted);
  auto back = [](const at::Tensor& each) { return each.defined() ? as_here(each) : each; };
  return {back(std::get<0>(found)), back(std::get<1>(found)), back(std::get<2>(found))};
}

// everything else: refuse what a device would refuse, then let the CPU do it

void fallback(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  bool mine = false, other = false;
  auto look = [&](const at::Tensor& x) {
    if (!x.defined()) return;
    if (here(x)) mine = true;
    else if (x.dim() > 0) other = true;
  };
  for (auto& value : torch::jit::last(*stack, operation.schema().arguments().size())) {
    if (value.isTensor()) {
      look(value.toTensor());
    } else if (value.isTensorList()) {
      for (const auto& each : value.toTensorVector()) look(each);
    } else if (value.isList()) {
      for (const auto& each : value.toListRef()) {
        if (each.isTensor()) look(each.toTensor());
      }
    }
  }
  const auto& name = operation.schema().name();
  // as on CUDA, the indices may be on the host; they are copied
  bool indexes = name == "aten::index.Tensor" || name == "aten::index" || name == "aten::index_put_" ||
                 name == "aten::_index_put_impl_" || name == "aten::index_put";
  if (mine && other && indexes) ++to_device;
  TORCH_CHECK(!(mine && other) || indexes, "stand-in accelerator: ", name, " got tensors of both devices");
  // what has as many results as there are, or an answer for the host, waits for the device
  if (mine && !inside && (name == "aten::nonzero" || name == "aten::equal" || name == "aten::masked_select" ||
                          name == "aten::unique_dim" || name == "aten::_unique2" || name == "aten::bincount")) {
    ++to_host;
  }
  Within within;
  at::native::cpu_fallback(operation, stack);
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("_local_scalar_dense", &scalar);
  m.impl("resize_", &resize);
  m.impl("as_strided", &as_strided);
  m.impl("view", &view);
  m.impl("_reshape_alias", &reshape_alias);
  m.impl("unfold", &unfold);
  m.impl("view_as_real", &at::native::view_as_real);
  m.impl("view_as_complex", &at::native::view_as_complex);
  m.impl("set_.source_Storage_storage_offset", &set_source);
  m.impl("convolution_overrideable", &convolution);
  m.impl("convolution_backward_overrideable", &convolution_backward);
}

// copies conjugate and negate themselves; torch would do it by a copy
TORCH_LIBRARY_IMPL(aten, Conjugate, m) { m.impl("_copy_from", torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, Negative, m) { m.impl("_copy_from", torch::CppFunction::makeFallthrough()); }

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY(standin, m) {
  m.def("stats", []() { return std::vector<int64_t>{held, peak, to_device, to_host, bytes_to_host}; });
  m.def("refuse_float64(bool refused) -> ()", [](bool refused) { without_float64 = refused; });
  m.def("reset", []() {
    peak = held.load();
    to_device = to_host = bytes_to_host = 0;
  });
}
