// ir/geometry_models.h — what the table of ir/geometry_functions.h lists, one declaration to a
// function; ir/geometry.h says what each means.
#pragma once

#include "ir/geometry_functions.h"

namespace fovea::ir::geometry {

using Make = NodeId(Builder& b, const GeometryArguments& arguments);

Make project_to_ball, mobius_add, exp_map, log_map, parallel_transport, distance, einstein_midpoint,
    frechet_mean;
Make lorentz_inner, lorentz_project, lorentz_exp_map, lorentz_log_map, lorentz_transport,
    lorentz_distance, lorentz_midpoint;
Make spherical_project, spherical_exp_map, spherical_log_map, spherical_transport,
    spherical_distance, spherical_midpoint;
Make product;

}  // namespace fovea::ir::geometry
