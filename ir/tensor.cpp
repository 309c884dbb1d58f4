#include "ir/tensor.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "ir/geometry_functions.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea {

using ir::AxisId;
using ir::Fn;
using ir::NodeId;
using ir::ReduceFn;

namespace detail {

struct AxisRecipe {
  std::string name;
  std::optional<Extent> extent;
  std::optional<Tensor> degree;
};

class Context {
 public:
  ir::Builder builder;

  NodeId operator()(const Tensor& tensor) {
    const Recipe* recipe = tensor.recipe_.get();
    if (const auto made = made_.find(recipe); made != made_.end()) return made->second;
    const NodeId node = (*recipe)(*this);
    made_.emplace(recipe, node);
    return node;
  }

  AxisId operator()(const Axis& axis) { return declare(axis.recipe_); }

  // An axis of which something is about to be folded, read or picked, which takes its degree.
  AxisId along(const Axis& axis) {
    const AxisId id = (*this)(axis);
    set_degree(id);
    return id;
  }

  std::vector<AxisId> along(const std::vector<Axis>& axes) {
    std::vector<AxisId> ids;
    for (const Axis& axis : axes) ids.push_back(along(axis));
    return ids;
  }

  std::vector<AxisId> layout(const std::vector<Axis>& axes) {
    std::vector<AxisId> ids;
    for (const Axis& axis : axes) ids.push_back((*this)(axis));
    return ids;
  }

  // The axes that the graph's inputs have, in the order in which they have them.
  std::vector<Axis> axes_of_inputs(const ir::Graph& graph) const {
    std::vector<Axis> all;
    for (const ir::Node& node : graph.nodes) {
      if (!ir::is_input(node)) continue;
      for (const AxisId id : node.type.axes) {
        if (std::ranges::find(all, graph.axis(id).name, &Axis::name) != all.end()) continue;
        all.push_back(Axis(graph.axis(id).name));
        all.back().recipe_ = recipes_[static_cast<std::size_t>(id)].recipe;
      }
    }
    return all;
  }

  // Those that nothing has asked for; a degree may declare more axes.
  void set_degrees() {
    for (std::size_t id = 0; id < recipes_.size(); ++id) set_degree(static_cast<AxisId>(id));
  }

 private:
  struct Declared {
    std::shared_ptr<const AxisRecipe> recipe;
    bool has_degree = false;
  };

  AxisId declare(const std::shared_ptr<const AxisRecipe>& axis) {
    if (const auto known = ids_.find(axis->name); known != ids_.end()) {
      check_same(*recipes_[static_cast<std::size_t>(known->second)].recipe, *axis);
      return known->second;
    }
    ir::Extent extent;
    if (axis->extent) {
      for (const Extent::Term& term : axis->extent->terms_) {
        extent.push_back({term.kind, term.number, term.axis ? declare(term.axis) : ir::kNone});
      }
    }
    const AxisId id = builder.axis(axis->name, std::move(extent));
    ids_.emplace(axis->name, id);
    recipes_.push_back({axis});
    return id;
  }

  void set_degree(AxisId id) {
    Declared& axis = recipes_[static_cast<std::size_t>(id)];
    if (axis.has_degree || !axis.recipe->degree) return;
    axis.has_degree = true;  // first, so that a degree made of itself ends in the builder's error
    const std::shared_ptr<const AxisRecipe> recipe = axis.recipe;
    builder.set_degree(id, (*this)(*recipe->degree));
  }

  static void check_same(const AxisRecipe& a, const AxisRecipe& b) {
    if (&a == &b) return;
    const auto same_term = [](const Extent::Term& x, const Extent::Term& y) {
      const bool axes = x.axis && y.axis ? x.axis->name == y.axis->name : x.axis == y.axis;
      return x.kind == y.kind && x.number == y.number && axes;
    };
    const bool extents = a.extent && b.extent
                             ? std::ranges::equal(a.extent->terms_, b.extent->terms_, same_term)
                             : a.extent.has_value() == b.extent.has_value();
    const bool degrees = a.degree && b.degree ? a.degree->recipe_ == b.degree->recipe_
                                              : a.degree.has_value() == b.degree.has_value();
    require(extents && degrees, Code::dimension_mismatch,
            "two axes called {} have different extents in one graph", a.name);
  }

  std::unordered_map<const Recipe*, NodeId> made_;
  std::map<std::string, AxisId> ids_;
  std::vector<Declared> recipes_;  // by axis id
};

}  // namespace detail

namespace {

using detail::Context;

template <class F>
Tensor tensor(F recipe) {
  return Tensor(std::make_shared<const detail::Recipe>(std::move(recipe)));
}

Tensor map(Fn fn, std::vector<Tensor> inputs) {
  return tensor([fn, inputs = std::move(inputs)](Context& context) {
    std::vector<NodeId> nodes;
    for (const Tensor& input : inputs) nodes.push_back(context(input));
    return context.builder.map(fn, std::move(nodes));
  });
}

// `make` is given the builder, the axes and the value.
template <class F>
Tensor over(const Axes& axes, const Tensor& x, F make) {
  return tensor([axes, x, make](Context& context) {
    const NodeId value = context(x);
    return make(context.builder, context.along(axes), value);
  });
}

Tensor fold(ReduceFn fn, const Axes& axes, const Tensor& x) {
  return over(axes, x, [fn](ir::Builder& builder, const std::vector<AxisId>& along, NodeId value) {
    return builder.fold(fn, along, value);
  });
}

}  // namespace

Extent::Extent(std::int64_t value) : terms_{{ir::ExtentTerm::Kind::Number, value, nullptr}} {}
Extent::Extent(const Axis& axis) : terms_{{ir::ExtentTerm::Kind::Axis, 0, axis.recipe_}} {}

Extent Extent::combine(const Extent& other, ir::ExtentTerm::Kind kind) const {
  Extent result = *this;
  result.terms_.insert(result.terms_.end(), other.terms_.begin(), other.terms_.end());
  result.terms_.push_back({kind, 0, nullptr});
  return result;
}

Extent operator+(const Extent& a, const Extent& b) {
  return a.combine(b, ir::ExtentTerm::Kind::Add);
}
Extent operator-(const Extent& a, const Extent& b) {
  return a.combine(b, ir::ExtentTerm::Kind::Sub);
}
Extent operator*(const Extent& a, const Extent& b) {
  return a.combine(b, ir::ExtentTerm::Kind::Mul);
}
Extent operator/(const Extent& a, const Extent& b) {
  return a.combine(b, ir::ExtentTerm::Kind::Div);
}

Axis::Axis(std::string name)
    : recipe_(std::make_shared<const detail::AxisRecipe>(
          detail::AxisRecipe{std::move(name), std::nullopt, std::nullopt})) {}
Axis::Axis(std::string name, const Extent& extent)
    : recipe_(std::make_shared<const detail::AxisRecipe>(
          detail::AxisRecipe{std::move(name), extent, std::nullopt})) {}

Axis Axis::ragged(std::string name, const Tensor& degree) {
  Axis axis{""};
  axis.recipe_ = std::make_shared<const detail::AxisRecipe>(
      detail::AxisRecipe{std::move(name), std::nullopt, degree});
  return axis;
}

const std::string& Axis::name() const { return recipe_->name; }

Tensor::Tensor(float number) : Tensor(static_cast<double>(number)) {}
Tensor::Tensor(double number)
    : Tensor(tensor([number](Context& context) { return context.builder.constant(number); })) {}
Tensor::Tensor(int number)
    : Tensor(tensor(
          [number](Context& context) { return context.builder.constant(number, Dtype::I32); })) {}
Tensor::Tensor(bool value)
    : Tensor(tensor([value](Context& context) {
        return context.builder.constant(value ? 1 : 0, Dtype::Bool);
      })) {}
Tensor::Tensor(const Axis& axis)
    : Tensor(tensor([axis](Context& context) { return context.builder.index(context(axis)); })) {}

Tensor Tensor::at(const Axis& axis, const Tensor& where) const { return at({{axis, where}}); }

Tensor Tensor::at(const Axis& axis, const Tensor& where, const Tensor& otherwise) const {
  return at({{axis, where, otherwise}});
}

Tensor Tensor::at(const std::vector<Coordinate>& coordinates) const {
  return tensor([x = *this, coordinates](Context& context) {
    const NodeId value = context(x);
    std::vector<ir::Builder::At> at;
    for (const Coordinate& one : coordinates) {
      const AxisId axis = context.along(one.axis);
      const NodeId where = context(one.where);
      at.push_back({axis, where, one.otherwise ? context(*one.otherwise) : ir::kNone});
    }
    return context.builder.read(value, std::move(at));
  });
}

Tensor Tensor::named(std::string name) const {
  return tensor([x = *this, name = std::move(name)](Context& context) {
    const NodeId node = context(x);
    context.builder.set_name(node, name);
    return node;
  });
}

Tensor input(std::string name, Dtype dtype, std::vector<Axis> axes) {
  return tensor([name = std::move(name), dtype, axes = std::move(axes)](Context& context) {
    return context.builder.input(name, dtype, context.layout(axes));
  });
}

Tensor operator+(const Tensor& a, const Tensor& b) { return map(Fn::Add, {a, b}); }
Tensor operator-(const Tensor& a, const Tensor& b) { return map(Fn::Sub, {a, b}); }
Tensor operator*(const Tensor& a, const Tensor& b) { return map(Fn::Mul, {a, b}); }
Tensor operator/(const Tensor& a, const Tensor& b) { return map(Fn::Div, {a, b}); }
Tensor operator%(const Tensor& a, const Tensor& b) { return map(Fn::Mod, {a, b}); }
Tensor operator-(const Tensor& a) { return map(Fn::Neg, {a}); }
Tensor operator==(const Tensor& a, const Tensor& b) { return map(Fn::Eq, {a, b}); }
Tensor operator!=(const Tensor& a, const Tensor& b) { return map(Fn::Ne, {a, b}); }
Tensor operator<(const Tensor& a, const Tensor& b) { return map(Fn::Lt, {a, b}); }
Tensor operator<=(const Tensor& a, const Tensor& b) { return map(Fn::Le, {a, b}); }
Tensor operator>(const Tensor& a, const Tensor& b) { return map(Fn::Gt, {a, b}); }
Tensor operator>=(const Tensor& a, const Tensor& b) { return map(Fn::Ge, {a, b}); }
Tensor operator&&(const Tensor& a, const Tensor& b) { return map(Fn::And, {a, b}); }
Tensor operator||(const Tensor& a, const Tensor& b) { return map(Fn::Or, {a, b}); }
Tensor operator!(const Tensor& a) { return map(Fn::Not, {a}); }

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return map(Fn::Where, {condition, a, b});
}
Tensor min(const Tensor& a, const Tensor& b) { return map(Fn::Min, {a, b}); }
Tensor max(const Tensor& a, const Tensor& b) { return map(Fn::Max, {a, b}); }
Tensor pow(const Tensor& a, const Tensor& b) { return map(Fn::Pow, {a, b}); }
Tensor leaky_relu(const Tensor& x, const Tensor& slope) { return map(Fn::LeakyRelu, {x, slope}); }
Tensor abs(const Tensor& x) { return map(Fn::Abs, {x}); }
Tensor exp(const Tensor& x) { return map(Fn::Exp, {x}); }
Tensor exp2(const Tensor& x) { return map(Fn::Exp2, {x}); }
Tensor log(const Tensor& x) { return map(Fn::Log, {x}); }
Tensor log1p(const Tensor& x) { return map(Fn::Log1p, {x}); }
Tensor sqrt(const Tensor& x) { return map(Fn::Sqrt, {x}); }
Tensor rsqrt(const Tensor& x) { return map(Fn::Rsqrt, {x}); }
Tensor tanh(const Tensor& x) { return map(Fn::Tanh, {x}); }
Tensor sigmoid(const Tensor& x) { return map(Fn::Sigmoid, {x}); }
Tensor relu(const Tensor& x) { return map(Fn::Relu, {x}); }
Tensor elu(const Tensor& x) { return map(Fn::Elu, {x}); }
Tensor gelu(const Tensor& x) { return map(Fn::Gelu, {x}); }
Tensor erf(const Tensor& x) { return map(Fn::Erf, {x}); }
Tensor sin(const Tensor& x) { return map(Fn::Sin, {x}); }
Tensor cos(const Tensor& x) { return map(Fn::Cos, {x}); }
Tensor asin(const Tensor& x) { return map(Fn::Asin, {x}); }
Tensor acos(const Tensor& x) { return map(Fn::Acos, {x}); }
Tensor atan(const Tensor& x) { return map(Fn::Atan, {x}); }
Tensor acosh(const Tensor& x) { return map(Fn::Acosh, {x}); }
Tensor atanh(const Tensor& x) { return map(Fn::Atanh, {x}); }
Tensor floor(const Tensor& x) { return map(Fn::Floor, {x}); }
Tensor round(const Tensor& x) { return map(Fn::Round, {x}); }

Tensor cast(Dtype to, const Tensor& x) {
  return tensor([to, x](Context& context) { return context.builder.cast(to, context(x)); });
}

Tensor sum(const Axes& axes, const Tensor& x) { return fold(ReduceFn::Sum, axes, x); }
Tensor max(const Axes& axes, const Tensor& x) { return fold(ReduceFn::Max, axes, x); }
Tensor min(const Axes& axes, const Tensor& x) { return fold(ReduceFn::Min, axes, x); }
Tensor max(const Axis& axis, const Tensor& x) { return fold(ReduceFn::Max, axis, x); }
Tensor min(const Axis& axis, const Tensor& x) { return fold(ReduceFn::Min, axis, x); }
Tensor any(const Axes& axes, const Tensor& x) {
  return fold(ReduceFn::Max, axes, cast(boolean, x));
}
Tensor all(const Axes& axes, const Tensor& x) {
  return fold(ReduceFn::Min, axes, cast(boolean, x));
}
Tensor argmax(const Axis& axis, const Tensor& x) { return fold(ReduceFn::ArgMax, axis, x); }

Tensor mean(const Axes& axes, const Tensor& x) {
  return over(axes, x, [](ir::Builder& builder, const std::vector<AxisId>& along, NodeId value) {
    return builder.mean(along, value);
  });
}

Tensor softmax(const Axes& axes, const Tensor& x) {
  return over(axes, x, [](ir::Builder& builder, const std::vector<AxisId>& along, NodeId value) {
    return builder.softmax(along, value);
  });
}

Tensor logsumexp(const Axes& axes, const Tensor& x) {
  return over(axes, x, [](ir::Builder& builder, const std::vector<AxisId>& along, NodeId value) {
    return builder.logsumexp(along, value);
  });
}

Tensor cumsum(const Axis& axis, const Tensor& x) {
  return over(axis, x, [](ir::Builder& builder, const std::vector<AxisId>& along, NodeId value) {
    return builder.scan(along[0], value);
  });
}

Tensor topk(const Axis& axis, const Axis& into, const Tensor& x) {
  return over(Axes{axis, into}, x,
              [](ir::Builder& builder, const std::vector<AxisId>& along, NodeId value) {
                return builder.topk(along[0], along[1], value);
              });
}

Tensor size(const Axis& axis) {
  return tensor([axis](Context& context) { return context.builder.size(context.along(axis)); });
}

Tensor detail::geometry(std::string_view name, const std::vector<Axes>& axes,
                        const std::vector<Tensor>& values) {
  const ir::GeometryFn* fn = ir::find_geometry_fn(name);
  invariant(fn != nullptr && static_cast<int>(axes.size()) == fn->axes, "a function of geometry");
  require(!values.empty(), Code::invalid_config, "{} is given nothing; expected at least one value",
          name);
  return tensor([fn, axes, values](Context& context) {
    ir::GeometryArguments arguments;
    for (const Tensor& value : values) arguments.values.push_back(context(value));
    if (fn->axes == 2) arguments.points = context.along(axes.front());
    if (fn->axes > 0) arguments.coordinates = context.along(axes.back());
    return ir::make_geometry(context.builder, *fn, arguments);
  });
}

namespace ir {

namespace {

Graph make(detail::Context& context, const std::vector<NamedOutput>& outputs,
           const std::vector<fovea::Axis>& order) {
  for (const fovea::Axis& axis : order) context(axis);
  std::vector<Output> named;
  for (const NamedOutput& output : outputs) {
    const NodeId node = context(output.value);
    named.push_back({output.name, node, context.layout(output.layout)});
  }
  context.set_degrees();
  return context.builder.finish(std::move(named));
}

}  // namespace

Graph make_graph(const std::vector<NamedOutput>& outputs, const std::vector<fovea::Axis>& order) {
  detail::Context context;
  const Graph graph = make(context, outputs, order);
  if (!order.empty()) return graph;
  // Inputs are the only tensors whose order of axes the user has written, so outputs follow them;
  // which those are is only known now.
  detail::Context again;
  return make(again, outputs, context.axes_of_inputs(graph));
}

}  // namespace ir

}  // namespace fovea
